#include <utility>

#include "mase/base/status_macros.h"
#include "mase/exec/lower.h"

namespace mase {

absl::Status LowerFloat(const Node& node, Lowerer& lowerer) {
  Program::Step step = lowerer.StartStep(node);
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    if (node.inputs()[i]->producer()->Is(OpTrait::kFromShapes)) continue;  // Is in the shapes.
    MASE_ASSIGN_OR_RETURN(Program::Operand src, lowerer.Source(node, static_cast<int>(i)));
    step.srcs.push_back(std::move(src));
  }
  for (const Parameter& parameter : node.parameters()) {
    step.tensors.push_back(lowerer.StoredTensor(parameter.tensor));
    step.tensor_names.push_back(parameter.name);
  }
  lowerer.SetResult(node,
                    lowerer.Append(std::move(step), lowerer.shapes().info(node.outputs()[0])));
  return absl::OkStatus();
}

}  // namespace mase
