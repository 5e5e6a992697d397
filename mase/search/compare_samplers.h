// Samplers side by side on one space.
#ifndef MASE_SEARCH_COMPARE_SAMPLERS_H_
#define MASE_SEARCH_COMPARE_SAMPLERS_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/search/search_plots.h"
#include "mase/search/trial_runner.h"
#include "proto/sampler.pb.h"

namespace mase {

struct Comparison {
  std::vector<SamplerSettings> samplers;
  int seeds = 5;  // From `seed` on; a grid has none.
  uint64_t seed = 0;
  int64_t trials = 0;                              // Of each.
  const std::atomic<bool>* interrupted = nullptr;  // May be null.
};

// The quality over trials of each sampler with each seed (QualityCurve), in studies that are not
// kept. A point is measured once, whoever asks. Cancelled if interrupted; errors of samplers.
absl::StatusOr<std::vector<SamplerCurves>> CompareSamplers(const SearchContext& context,
                                                           TrialRunner& runner,
                                                           const Comparison& comparison);

}  // namespace mase

#endif  // MASE_SEARCH_COMPARE_SAMPLERS_H_
