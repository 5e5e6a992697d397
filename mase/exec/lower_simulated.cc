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
namespace {

using Source = Operand::Source;

}  // namespace

absl::StatusOr<int> OperandRounder::Round(Source source, int index, int value, const Shape& shape) {
  const auto operand = absl::c_find_if(operands_, [&](const Operand& operand) {
    return operand.source == source && operand.index == index;
  });
  if (operand == operands_.end() || operand->format == nullptr) return value;
  absl::StatusOr<OperandView> view =
      ViewOperand(node_, operand->role, *operand->format, shape, lowerer_.shapes());
  if (!view.ok()) return Annotate(view.status(), operand->role);
  Program::Step step = lowerer_.StartStep(node_);
  step.op = "quantize";
  step.schema = nullptr;
  step.macs = 0;
  absl::StrAppend(&step.label, ": ", operand->role);
  // Every operand that a node rounds has random numbers of its own, behind the op's.
  step.stream += ++rounded_;
  step.simulated = true;
  step.srcs = {{value, shape}};
  if (HasOperandState(*operand->format)) {
    step.tensors = {
        lowerer_.StoredTensor(OperandStateSlot(node_, operand->role, *operand->format))};
    step.tensor_names = {"state"};
  }
  step.kernel = MakeQuantizeKernel(*view, lowerer_.dtype(), step.stream);
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
    MASE_ASSIGN_OR_RETURN(src.value, rounder.Round(Source::kInput, input, src.value, src.shape));
    step.srcs.push_back(std::move(src));
  }
  for (size_t i = 0; i < node.parameters().size(); ++i) {
    const Parameter& parameter = node.parameters()[i];
    if (absl::c_linear_search(rules.left_out, parameter.name)) continue;
    int tensor = lowerer.StoredTensor(parameter.tensor);
    // Statistics that training moves are the stored ones.
    if (!lowerer.training() || !lowerer.IsBuffer(tensor)) {
      MASE_ASSIGN_OR_RETURN(tensor, rounder.Round(Source::kTensor, static_cast<int>(i), tensor,
                                                  Shape(lowerer.ShapeOf(tensor))));
    }
    step.tensors.push_back(tensor);
    step.tensor_names.push_back(parameter.name);
  }
  const Shape& shape = lowerer.shapes().shape(node.outputs()[0]);
  const int result = lowerer.Append(std::move(step), shape);
  MASE_ASSIGN_OR_RETURN(const int rounded, rounder.Round(Source::kResult, 0, result, shape));
  lowerer.SetResult(node, rounded);
  return absl::OkStatus();
}

absl::Status LowerSimulated(const Node& node, Lowerer& lowerer) {
  return LowerByRules(node, {.attributes = node.attributes()}, lowerer);
}

}  // namespace mase
