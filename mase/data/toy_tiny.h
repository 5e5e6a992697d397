// MASE's smallest data set: is the sum of four random numbers positive?
#ifndef MASE_DATA_TOY_TINY_H_
#define MASE_DATA_TOY_TINY_H_

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"

namespace mase {

// 10,240 samples of shape [1, 2, 2] in each of the four splits, which differ only in the seed of
// NumPy's generator (0 to 3): values are (rand - 0.5) * 2 in float64, the class is 1 where their
// sum is positive, then they become float32. InvalidArgument: a recipe with other classes.
absl::StatusOr<Dataset> OpenToyTiny(const OpenOptions& options);

}  // namespace mase

#endif  // MASE_DATA_TOY_TINY_H_
