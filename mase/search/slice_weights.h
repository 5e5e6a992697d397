// Weights for a net whose layers are wider or narrower than those of a trained one.
#ifndef MASE_SEARCH_SLICE_WEIGHTS_H_
#define MASE_SEARCH_SLICE_WEIGHTS_H_

#include "absl/status/status.h"
#include "mase/graph/graph.h"

namespace mase {

// Gives each tensor of `to` (weights, biases, running statistics) what the tensor of the same name
// in `from` has at the same place: the first channels of a layer that became narrower, all of one
// that became wider, whose further channels keep what they have. Tensors that `from` has not, or
// with another rank or element type, stay as they are. InvalidArgument if that is so of all.
absl::Status SliceWeights(const Graph& from, Graph& to);

}  // namespace mase

#endif  // MASE_SEARCH_SLICE_WEIGHTS_H_
