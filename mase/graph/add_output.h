// The one way to end a graph.
#ifndef MASE_GRAPH_ADD_OUTPUT_H_
#define MASE_GRAPH_ADD_OUTPUT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/graph/graph.h"

namespace mase {

// Appends the node "output", by which the graph gives `results` to its callers, in this order;
// returns the node. Errors are those of Graph::AddNode: InvalidArgument if the graph has an output
// already. Whether the results are those of a whole graph is for VerifyGraph to say.
//
//   MASE_RETURN_IF_ERROR(AddOutput(graph, {last->outputs()[0]}).status());
inline absl::StatusOr<Node*> AddOutput(Graph& graph, std::vector<Value*> results) {
  return graph.AddNode({.name = std::string(ops::kOutput),
                        .kind = NodeKind::kOutput,
                        .op = std::string(ops::kOutput),
                        .target = std::string(ops::kOutput),
                        .inputs = std::move(results)});
}

}  // namespace mase

#endif  // MASE_GRAPH_ADD_OUTPUT_H_
