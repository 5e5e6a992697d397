// What two graphs have in common and what not: nodes and tensors, matched by name.
//
//   const GraphDiff diff = CompareGraphs(original, quantized);
//   for (const NodeDiff& node : diff.nodes) {
//     if (node.changed()) std::cout << node.name() << ": " << absl::StrJoin(node.changes, "; ");
//   }
#ifndef MASE_GRAPH_GRAPH_DIFF_H_
#define MASE_GRAPH_GRAPH_DIFF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "mase/graph/graph.h"

namespace mase {

// A node of either graph, or of both. The graphs own what is pointed to.
struct NodeDiff {
  const Node* before = nullptr;  // Null: only the second graph has it.
  const Node* after = nullptr;   // Null: only the first has it.
  // What of a node that both have differs, each as a person would write it: "inputs: a -> b",
  // "quantization: none -> integer ...". Notes (metadata other than the record) are not among it.
  std::vector<std::string> changes;
  bool record_changed = false;  // The quantization records differ.
  bool notes_differ = false;

  bool changed() const { return before == nullptr || after == nullptr || !changes.empty(); }
  const std::string& name() const { return (before == nullptr ? after : before)->name(); }
};

// A tensor that differs, or that one graph alone has.
struct TensorDiff {
  const GraphTensor* before = nullptr;
  const GraphTensor* after = nullptr;
  // Of two tensors of one shape and element type: how many elements differ in a bit, and the
  // largest distance between two of them (NaN where a NaN is one of the two).
  int64_t elements = 0;
  double largest = 0;

  const std::string& name() const { return (before == nullptr ? after : before)->name; }
  // "3 of 80 elements differ, by at most 0.25", "float32[5, 16] -> float32[5, 8]", "only in the
  // first", "only in the second".
  std::string Describe() const;
};

struct GraphDiff {
  std::vector<NodeDiff> nodes;  // All: those of the second graph in its order, then lost ones.
  std::vector<TensorDiff> tensors;

  // Nothing but notes differs.
  bool equal() const;
};

// Linear in nodes, uses and elements of tensors.
GraphDiff CompareGraphs(const Graph& first, const Graph& second);

// The same as text, a line for each node or tensor that differs, notes included:
//   - seq_blocks_1 (relu): only in the first
//   ~ seq_blocks_2 (linear): quantization: none -> integer
// Empty if the graphs are equal.
std::string DiffGraphs(const Graph& first, const Graph& second);

}  // namespace mase

#endif  // MASE_GRAPH_GRAPH_DIFF_H_
