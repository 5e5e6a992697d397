#include <utility>

#include "absl/algorithm/container.h"
#include "mase/base/status_macros.h"
#include "mase/exec/integer_plan.h"
#include "mase/exec/lower.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

// The step of a node whose inputs are these codes, without tensors yet.
absl::StatusOr<Program::Step> StartOnCodes(const Node& node, absl::string_view kernel,
                                           absl::Span<const Codes> inputs, Lowerer& lowerer) {
  Program::Step step = lowerer.StartStep(node);
  step.kernel_name = std::string(kernel);
  step.on_codes = true;
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    MASE_ASSIGN_OR_RETURN(Program::Operand src, lowerer.SourceAsIs(node, static_cast<int>(i)));
    src.value = lowerer.AsCodes(node, src.value, inputs[i]);
    step.srcs.push_back(std::move(src));
  }
  return step;
}

}  // namespace

absl::Status LowerInteger(const Node& node, const IntegerPlan& plan, Lowerer& lowerer) {
  MASE_ASSIGN_OR_RETURN(Program::Step step, StartOnCodes(node, plan.kernel, plan.inputs, lowerer));
  step.simulated = true;
  step.weight = plan.weight;
  OperandRounder rounder(node, lowerer);
  for (size_t i = 0; i < node.parameters().size(); ++i) {
    const Parameter& parameter = node.parameters()[i];
    const int stored = lowerer.StoredTensor(parameter.tensor);
    const Shape stored_shape = lowerer.ShapeOf(stored);
    MASE_ASSIGN_OR_RETURN(
        const int tensor,
        rounder.Round(Operand::Source::kTensor, static_cast<int>(i), stored, stored_shape));
    step.tensors.push_back(tensor);
    step.tensor_names.push_back(parameter.name);
  }
  const Shape& shape = lowerer.shapes().shape(node.outputs()[0]);
  // Of codes that are cut or chosen from, the result is codes.
  const bool keeps = KeepsCodes(node);
  int result = keeps ? lowerer.AppendCodes(std::move(step), shape, plan.inputs[0])
                     : lowerer.Append(std::move(step), shape);
  if (plan.result.has_value()) result = lowerer.AsCodes(node, result, *plan.result);
  lowerer.SetResult(node, result);
  return absl::OkStatus();
}

absl::StatusOr<bool> LowerOnCodes(const Node& node, const std::optional<Codes>& wanted,
                                  Lowerer& lowerer) {
  if (!KeepsCodes(node)) return false;
  std::optional<Codes> all;  // Of inputs that are codes already.
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    MASE_ASSIGN_OR_RETURN(const Program::Operand src,
                          lowerer.SourceAsIs(node, static_cast<int>(i)));
    const std::optional<Codes>& codes = lowerer.CodesOf(src.value);
    if (i == 0) all = codes;
    if (codes != all) all.reset();
  }
  // A relu of numbers is part of the step that makes them.
  const bool relu = node.Is(OpTrait::kCutsNegatives);
  const std::optional<Codes>& codes = all.has_value() || relu ? all : wanted;
  if (!codes.has_value()) return false;
  const std::vector<Codes> inputs(node.inputs().size(), *codes);
  const absl::string_view kernel = relu                      ? kConvert
                                   : node.Is(OpTrait::kPool) ? "integer_pool"
                                                             : absl::string_view();
  MASE_ASSIGN_OR_RETURN(Program::Step step, StartOnCodes(node, kernel, inputs, lowerer));
  lowerer.SetResult(node, lowerer.AppendCodes(std::move(step),
                                              lowerer.shapes().shape(node.outputs()[0]), *codes));
  return true;
}

}  // namespace mase
