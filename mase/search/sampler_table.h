// What the files of samplers share with the table of samplers in sampler.cc.
#ifndef MASE_SEARCH_SAMPLER_TABLE_H_
#define MASE_SEARCH_SAMPLER_TABLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "mase/search/sampler.h"

namespace mase {

// What a sampler is made of. The settings are complete and the space is one that it can sample.
struct SamplerSpec {
  SamplerSettings settings;
  ParameterSpace space;
  std::vector<Direction> directions;
  uint64_t seed = 0;
};

std::unique_ptr<Sampler> MakeGridSampler(SamplerSpec spec);
std::unique_ptr<Sampler> MakeRandomSampler(SamplerSpec spec);

}  // namespace mase

#endif  // MASE_SEARCH_SAMPLER_TABLE_H_
