// How the axes of a node's results, tensors and attributes follow from those of its inputs: a rule
// an op, beside the shape rules of the op table.
#ifndef MASE_MODEL_NODE_AXES_H_
#define MASE_MODEL_NODE_AXES_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/axis_terms.h"

namespace mase {

using Axes = std::vector<AxisTerms::Term>;  // Of a value or tensor, outermost first.

// An attribute that is the extent of an axis: "in_features", or entry `index` of a list.
struct AxisAttribute {
  std::string name;
  int index = -1;  // -1: no list.
  AxisTerms::Term term = -1;
};

// What a node has to do with axes.
struct NodeAxes {
  std::vector<AxisAttribute> attributes;
  // The channels that it reads and gives as a layer with a weight; -1: it is none.
  AxisTerms::Term input = -1, width = -1;
};

// The axes of a net.
struct GraphAxes {
  AxisTerms terms;
  std::vector<NodeAxes> nodes;                     // By node id.
  absl::flat_hash_map<std::string, Axes> tensors;  // By name; those that nodes read.
};

// InvalidArgument where shapes do not fit (InferShapesFor). Inputs and results of the net, and what
// an op reads for which there is no rule, are fixed.
absl::StatusOr<GraphAxes> AxesOf(const Graph& graph);

}  // namespace mase

#endif  // MASE_MODEL_NODE_AXES_H_
