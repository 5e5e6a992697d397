// Which parameters of a search mattered.
#ifndef MASE_SEARCH_IMPORTANCE_H_
#define MASE_SEARCH_IMPORTANCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"

namespace mase {

// Of each parameter how much worse a random forest that was fitted to the complete trials predicts
// objective `objective` when that parameter's values are shuffled among them (permutation
// importance: Breiman, Random forests, 2001), as shares that sum to 1. Of more than 2,000 trials,
// 2,000 at even distances count. The same seed gives the same shares.
//
// InvalidArgument: fewer than two complete trials, or all with the same value.
absl::StatusOr<std::vector<double>> ParameterImportances(const ParameterSpace& space,
                                                         absl::Span<const Trial* const> trials,
                                                         size_t objective, uint64_t seed);

}  // namespace mase

#endif  // MASE_SEARCH_IMPORTANCE_H_
