// The invariants of a graph, checked between passes and after loading.
#ifndef MASE_GRAPH_VERIFIER_H_
#define MASE_GRAPH_VERIFIER_H_

#include "absl/status/status.h"
#include "mase/graph/graph.h"

namespace mase {

// OK if all of this holds; else InvalidArgument naming the first node at fault:
//   - there is at least one placeholder and exactly one output;
//   - use lists and inputs agree in both directions;
//   - every value is produced before it is read (no cycle);
//   - every shape rule accepts its inputs, for the stored placeholder shapes;
//   - a module has exactly the tensors that its op asks for, each in the graph,
//     with the shape and type that the attributes give;
//   - a quantization record names operands that the op has.
// Linear in nodes plus uses, without recursion.
absl::Status VerifyGraph(const Graph& graph);

}  // namespace mase

#endif  // MASE_GRAPH_VERIFIER_H_
