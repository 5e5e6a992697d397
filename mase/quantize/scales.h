// Formats with several scales (affine), and the tensors that those are for.
#ifndef MASE_QUANTIZE_SCALES_H_
#define MASE_QUANTIZE_SCALES_H_

#include "absl/status/status.h"
#include "mase/graph/graph.h"

namespace mase {

// InvalidArgument, naming node, operand and both numbers, where a format of the graph's records has
// another number of scales than a tensor of its operand has blocks, or where that number goes by
// the rows of a batch. Known before any row is run: what a file says of its scales is what counts.
// Graphs whose shapes cannot be inferred are for others to refuse.
absl::Status CheckScales(const Graph& graph);

}  // namespace mase

#endif  // MASE_QUANTIZE_SCALES_H_
