// Shapes and element types of every value, from the inputs' and the op table.
#ifndef MASE_GRAPH_SHAPE_INFERENCE_H_
#define MASE_GRAPH_SHAPE_INFERENCE_H_

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"

namespace mase {

// Infers every value's shape and writes it into the graph (Value::shape()),
// with the placeholders' batch, their axis 0, replaced by `batch` if >= 0.
// One pass over the nodes in graph order, linear, without recursion.
//
// InvalidArgument names the node and the shapes: the first node whose inputs do
// not fit, or that reads a value produced later (the order is not topological,
// or there is a cycle).
absl::Status InferShapes(Graph& graph, int64_t batch = -1);

// The same without writing: infos by (node id, result), for planning one batch
// size while others use the graph.
class InferredShapes {
 public:
  const ValueInfo& info(const Value* value) const {
    return infos_[first_[value->producer()->id()] + value->index()];
  }
  const Shape& shape(const Value* value) const { return info(value).shape; }

 private:
  friend absl::StatusOr<InferredShapes> InferShapesFor(const Graph& graph, int64_t batch);
  std::vector<int> first_;  // By node id; -1 where not (yet) inferred.
  std::vector<ValueInfo> infos_;
};
absl::StatusOr<InferredShapes> InferShapesFor(const Graph& graph, int64_t batch = -1);

// Arithmetic of the node at these shapes, by its op's rule; zeros where that has none.
OpCost ArithmeticOf(const Node& node, const InferredShapes& shapes);

// The batch that the graph was last inferred with: the extent of axis 0 of its first placeholder.
// Before that, the one of its attribute; 1 where that has no axes.
int64_t BatchOf(const Graph& graph);

}  // namespace mase

#endif  // MASE_GRAPH_SHAPE_INFERENCE_H_
