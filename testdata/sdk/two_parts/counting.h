// A library of the plugin's own.
#ifndef TWO_PARTS_COUNTING_H_
#define TWO_PARTS_COUNTING_H_

#include <string>

#include "mase/graph/graph.h"

namespace two_parts {

// How many nodes have this op.
int CountNodes(const mase::Graph& graph, const std::string& op);

}  // namespace two_parts

#endif  // TWO_PARTS_COUNTING_H_
