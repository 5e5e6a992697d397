#include "mase/exec/execution_report.h"

namespace mase {

const char* ExecutionName(Execution execution) {
  switch (execution) {
    case Execution::kFloat:
      return "float";
    case Execution::kSimulated:
      return "simulated";
    case Execution::kInteger:
      return "integer";
  }
  return "unknown";
}

std::vector<const NodeExecution*> ExecutionReport::NotInIntegers() const {
  std::vector<const NodeExecution*> nodes;
  for (const NodeExecution& node : this->nodes) {
    if (node.has_record && node.way != Execution::kInteger) nodes.push_back(&node);
  }
  return nodes;
}

}  // namespace mase
