// Whether two graphs, or one graph at two times, are the same.
#ifndef MASE_GRAPH_GRAPH_HASH_H_
#define MASE_GRAPH_GRAPH_HASH_H_

#include <cstddef>

#include "mase/graph/graph.h"

namespace mase {

// A hash of all that a graph computes: name, nodes in order with op, kind, target, inputs,
// attributes, tensors and quantization records, and the elements of tensors. Notes on nodes and
// version() do not count, so an edit that is taken back leaves the hash as it was, and a record
// that is changed behind the graph's back does not. Equal graphs have equal hashes; others
// different ones, but for a chance of 2^-64. Holds within one process. Linear in the graph's size,
// about 1 ms for a million elements.
size_t HashGraph(const Graph& graph);

}  // namespace mase

#endif  // MASE_GRAPH_GRAPH_HASH_H_
