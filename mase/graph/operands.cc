#include "mase/graph/operands.h"

namespace mase {

std::vector<Operand> OperandsByTable(const Node& node,
                                     const std::vector<TensorRole>& tensor_roles) {
  std::vector<Operand> operands;
  const auto add = [&](absl::string_view role, Operand::Source source, size_t index) {
    if (role.empty()) return;
    operands.push_back({role, source, static_cast<int>(index), FindFormat(node, role)});
  };
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    add(node.schema().InputOperand(static_cast<int>(i)), Operand::Source::kInput, i);
  }
  for (size_t i = 0; i < node.parameters().size(); ++i) {
    for (const TensorRole& role : tensor_roles) {
      if (role.tensor != node.parameters()[i].name) continue;
      add(role.operand, Operand::Source::kTensor, i);
      break;
    }
  }
  for (size_t i = 0; i < node.outputs().size(); ++i) {
    add(operands::kDataOut, Operand::Source::kResult, i);
  }
  return operands;
}

std::vector<Operand> OperandsByTable(const Node& node) {
  return OperandsByTable(node, node.schema().tensor_roles);
}

const FormatProto* FindFormat(const Node& node, absl::string_view operand) {
  if (node.quantization() == nullptr) return nullptr;
  for (const OperandFormat& format : node.quantization()->operand()) {
    if (format.operand() == operand) return &format.format();
  }
  return nullptr;
}

}  // namespace mase
