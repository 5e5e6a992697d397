// What the files of samplers share with the table of samplers in sampler.cc.
#ifndef MASE_SEARCH_SAMPLER_TABLE_H_
#define MASE_SEARCH_SAMPLER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "mase/search/draws.h"
#include "mase/search/sampler.h"

namespace mase {

// What a sampler is made of. The settings are complete and the space is one that it can sample.
struct SamplerSpec {
  SamplerSettings settings;
  ParameterSpace space;
  std::vector<Direction> directions;
  uint64_t seed = 0;
  size_t error = 0;  // The objective that is an error; others are costs.
};

// The idea of a sampler: a point for trial `number`, which may have been tried before. As
// Sampler::Sample else; `draws` are the trial's.
class Proposer {
 public:
  virtual ~Proposer() = default;
  virtual Point Propose(int64_t number, const TrialHistory& finished,
                        absl::Span<const Trial> running, Draws& draws) = 0;
};

absl::StatusOr<std::unique_ptr<Proposer>> MakeGrid(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeRandom(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeQmc(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeTpe(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeNsga2(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeNsga3(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeMoead(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeCmaes(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeAllocator(const SamplerSpec& spec);
absl::StatusOr<std::unique_ptr<Proposer>> MakeGreedy(const SamplerSpec& spec);

}  // namespace mase

#endif  // MASE_SEARCH_SAMPLER_TABLE_H_
