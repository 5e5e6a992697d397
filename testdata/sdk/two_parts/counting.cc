#include "counting.h"

namespace two_parts {

int CountNodes(const mase::Graph& graph, const std::string& op) {
  int count = 0;
  for (const mase::Node* node = graph.first(); node != nullptr; node = mase::Graph::next(node)) {
    count += node->op() == op ? 1 : 0;
  }
  return count;
}

}  // namespace two_parts
