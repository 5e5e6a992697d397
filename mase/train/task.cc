#include "mase/train/task.h"

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/graph/shape_inference.h"

namespace mase {

absl::Status CheckClassifier(const Graph& graph, const Dataset& dataset) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  const Node* output = graph.output();
  if (output == nullptr || output->inputs().size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", graph.name(), "' must have one result, the scores of the classes"));
  }
  const Shape& scores = shapes.shape(output->inputs()[0]);
  if (scores.rank() != 2) {
    return absl::InvalidArgumentError(absl::StrCat("model '", graph.name(),
                                                   "' has results of shape ", scores.ToString(),
                                                   ", want [rows, classes]"));
  }
  if (scores[1] < dataset.num_classes()) {
    return absl::InvalidArgumentError(absl::StrCat("model '", graph.name(), "' tells ", scores[1],
                                                   " classes apart, data set '", dataset.name(),
                                                   "' has ", dataset.num_classes()));
  }
  return absl::OkStatus();
}

}  // namespace mase
