// Which axis of a value the rows are on, followed through a graph, so that no op mixes them.
#ifndef MASE_ONNX_ROWS_H_
#define MASE_ONNX_ROWS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"
#include "mase/tensor/shape.h"

namespace mase {

// An axis of outer * rows * inner elements, in that order.
struct RowAxis {
  int axis = -1;  // -1: the value does not grow with the rows.
  int64_t inner = 1;
};

// A value for two different numbers of rows.
struct RowShapes {
  Shape few, many;
};

// Where the rows are in the node's result. Unimplemented if a row of it depends on other rows of
// the inputs: sums over the rows' axis, softmax along it, views that cut it at other places.
absl::StatusOr<RowAxis> FollowRows(const Node& node, absl::Span<const RowAxis> inputs,
                                   absl::Span<const RowShapes> input_shapes,
                                   const RowShapes& result, int64_t more_rows);

}  // namespace mase

#endif  // MASE_ONNX_ROWS_H_
