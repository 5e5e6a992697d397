// Whether a net's numbers are numbers.
#ifndef MASE_GRAPH_FINITE_H_
#define MASE_GRAPH_FINITE_H_

#include <string>

#include "mase/graph/graph.h"

namespace mase {

// Looks for NaN and infinity in the graph's tensors, parameters and buffers alike. "" if all are
// finite, else what there is: "tensor 'seq_blocks.2.weight' holds nan in 3 of its 80 elements and
// is not the only one". Reads every element once.
std::string FindNonFinite(const Graph& graph);

}  // namespace mase

#endif  // MASE_GRAPH_FINITE_H_
