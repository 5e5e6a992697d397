#include <utility>

#include "mase/exec/lower.h"
#include "mase/quantize/reference.h"

namespace mase {

absl::Status LowerReference(const Node& node, Lowerer& lowerer) {
  SimulatedRules rules = {.attributes = EffectiveAttributes(node), .reference = true};
  for (const Parameter& parameter : node.parameters()) {
    if (IgnoresTensor(node, parameter.name)) rules.left_out.push_back(parameter.name);
  }
  return LowerByRules(node, std::move(rules), lowerer);
}

}  // namespace mase
