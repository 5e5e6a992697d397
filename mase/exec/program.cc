#include "mase/exec/program.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/kernel/chain_parts.h"
#include "mase/kernel/dense_chain.h"
#include "mase/quantize/operands.h"

namespace mase {

int Program::Append(Step step, TensorDesc dst) {
  Value value;
  value.desc = std::move(dst);
  value.prepared = true;
  for (const Operand& src : step.srcs) {
    const Value& read = values[src.value];
    value.prepared &= read.home == Value::Home::kStore || read.prepared;
    value.needs_gradient |= read.needs_gradient;
  }
  for (const int tensor : step.tensors) value.needs_gradient |= values[tensor].needs_gradient;
  const int id = static_cast<int>(values.size());
  step.dst = id;
  (value.prepared ? prepare : steps).push_back(std::move(step));
  values.push_back(std::move(value));
  return id;
}

StepExecution Program::Describe(const Step& step) const {
  StepExecution report = {.label = step.label, .macs = step.macs, .parts = step.parts};
  if (step.schema != nullptr) report.nodes.push_back(step.label);
  for (const std::string& label : step.fused_labels) report.nodes.push_back(label);
  const bool is_chain = step.chain != nullptr || step.kernel_name == kDenseChain ||
                        step.kernel_name == kDenseChainLoss;
  if (is_chain && step.last_label != step.label) {
    absl::StrAppend(&report.label, " to ", step.last_label);
  }
  const bool renamed = step.on_codes && step.schema != nullptr && !step.kernel_name.empty() &&
                       step.kernel_name != kConvert;
  report.kernel = renamed ? step.kernel_name : step.op;
  if (step.chain != nullptr) {
    report.kernel = step.kernel_name;  // Its parts tell more.
  } else {
    for (const FusedOp& next : step.fused) {
      if (next.op == kSave || next.op == kRecall) continue;
      absl::StrAppend(&report.kernel, " + ", next.op);
    }
  }
  for (const Operand& src : step.srcs) report.operands.push_back(desc(src.value).dtype);
  if (!step.weight.scales.empty()) {
    report.operands.push_back(step.weight.is_byte() ? DType::kInt8 : DType::kInt32);
  } else if (!step.tensors.empty() && step.Is(OpTrait::kWeighted)) {
    report.operands.push_back(desc(step.tensors[0]).dtype);
  }
  const auto bias = absl::c_find(step.tensor_names, operands::kBias);
  if (bias != step.tensor_names.end() && step.Is(OpTrait::kWeighted)) {
    report.bias = desc(step.tensors[bias - step.tensor_names.begin()]).dtype;
  }
  report.result = desc(step.dst).dtype;
  return report;
}

}  // namespace mase
