#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/lower.h"
#include "mase/exec/operand_state.h"
#include "mase/exec/simulate.h"
#include "mase/quantize/operands.h"

namespace mase {
absl::StatusOr<int> OperandRounder::Round(absl::string_view operand, int value,
                                          const Shape& shape) {
  const FormatProto* format = operand.empty() ? nullptr : FindFormat(node_, operand);
  if (format == nullptr) return value;
  Program::Step step = lowerer_.StartStep(node_);
  step.op = "quantize";
  step.schema = nullptr;
  absl::StrAppend(&step.label, ": ", operand);
  // Every operand that a node rounds has random numbers of its own, behind the op's.
  step.stream += ++rounded_;
  step.simulated = true;
  step.srcs = {{value, shape}};
  if (HasOperandState(*format)) {
    step.tensors = {lowerer_.StoredTensor(OperandStateSlot(node_, operand))};
    step.tensor_names = {"state"};
  }
  auto kernel = MakeQuantizeKernel(ViewOperand(node_, operand, *format, shape, lowerer_.shapes()),
                                   lowerer_.dtype(), step.stream);
  if (!kernel.ok()) return Annotate(kernel.status(), operand);
  step.kernel = *std::move(kernel);
  return lowerer_.Append(std::move(step), shape);
}

absl::Status LowerByRules(const Node& node, SimulatedRules rules, Lowerer& lowerer) {
  OperandRounder rounder(node, lowerer);
  Program::Step step = lowerer.StartStep(node);
  step.simulated = true;
  step.attributes = std::move(rules.attributes);
  // Sums of whole numbers are exact, for integer arithmetic to have the same. MASE's are not.
  if (!rules.reference && !lowerer.training()) {
    step.sum_bits = SumBits(node, lowerer.shapes(), lowerer.store());
  }
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    const int input = static_cast<int>(i);
    MASE_ASSIGN_OR_RETURN(Program::Operand src, lowerer.Source(node, input));
    MASE_ASSIGN_OR_RETURN(src.value,
                          rounder.Round(InputOperand(node, input), src.value, src.shape));
    step.srcs.push_back(std::move(src));
  }
  for (const Parameter& parameter : node.parameters()) {
    if (absl::c_linear_search(rules.left_out, parameter.name)) continue;
    int tensor = lowerer.StoredTensor(parameter.tensor);
    // Statistics that training moves are the stored ones.
    if (!lowerer.training() || !lowerer.IsBuffer(tensor)) {
      const Shape shape = lowerer.ShapeOf(tensor);
      MASE_ASSIGN_OR_RETURN(
          tensor,
          rounder.Round(TensorOperand(node, parameter.name, rules.reference), tensor, shape));
    }
    step.tensors.push_back(tensor);
    step.tensor_names.push_back(parameter.name);
  }
  const Shape& shape = lowerer.shapes().shape(node.outputs()[0]);
  const int result = lowerer.Append(std::move(step), shape);
  MASE_ASSIGN_OR_RETURN(const int rounded, rounder.Round("data_out", result, shape));
  lowerer.SetResult(node, rounded);
  return absl::OkStatus();
}

absl::Status LowerSimulated(const Node& node, Lowerer& lowerer) {
  return LowerByRules(node, {.attributes = node.attributes()}, lowerer);
}

}  // namespace mase
