#include "mase/graph/verifier.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/graph/operands.h"
#include "mase/graph/shape_inference.h"

namespace mase {
namespace {

template <typename... Parts>
absl::Status Fault(const Node& node, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(node.name(), " (", node.op(), "): ", parts...));
}

// Each input has this use in its list, and each listed use reads this value. As
// both directions hold and uses are counted, no entry can be left over.
absl::Status CheckUses(const Graph& graph) {
  int64_t inputs = 0, uses = 0;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    inputs += node->inputs().size();
    for (const Value* value : node->outputs()) {
      uses += value->uses().size();
      if (value->producer() != node) return Fault(*node, "result belongs to another node");
      for (const Use& use : value->uses()) {
        if (use.input < 0 || use.input >= static_cast<int>(use.node->inputs().size()) ||
            use.node->inputs()[use.input] != value) {
          return Fault(*node, "use list names ", use.node->name(), ", which does not read it");
        }
      }
    }
  }
  if (inputs == uses) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("graph '", graph.name(), "': ", inputs, " inputs but ", uses, " uses"));
}

absl::Status CheckParameters(const Graph& graph, const Node& node) {
  const ParameterRule rule = node.schema().parameter_rule;
  const bool owns = rule != nullptr &&
                    (node.kind() == NodeKind::kCallModule || node.kind() == NodeKind::kGetAttr);
  const std::vector<ParameterSpec> wanted =
      owns ? rule(node.attributes()) : std::vector<ParameterSpec>();
  for (const ParameterSpec& spec : wanted) {
    const std::string* name = node.FindParameter(spec.name);
    if (name == nullptr) return Fault(node, "has no tensor '", spec.name, "'");
    const GraphTensor* tensor = graph.FindTensor(*name);
    if (tensor == nullptr) return Fault(node, "tensor '", *name, "' is not in the graph");
    if (tensor->value.shape() != spec.shape || tensor->value.dtype() != spec.dtype) {
      return Fault(node, "tensor '", *name, "' is ", DTypeName(tensor->value.dtype()),
                   tensor->value.shape().ToString(), ", want ", DTypeName(spec.dtype),
                   spec.shape.ToString());
    }
  }
  if (node.parameters().size() != wanted.size()) {
    return Fault(node, "has ", node.parameters().size(), " tensors, want ", wanted.size(), " (",
                 absl::StrJoin(wanted, ", ",
                               [](std::string* out, const ParameterSpec& spec) {
                                 absl::StrAppend(out, spec.name);
                               }),
                 ")");
  }
  return absl::OkStatus();
}

absl::Status CheckQuantization(const Node& node) {
  const Quantization* record = node.quantization();
  if (record == nullptr) return absl::OkStatus();
  if (!node.schema().quantizable) return Fault(node, "is quantized but the op is not quantizable");
  absl::flat_hash_set<absl::string_view> rounded;
  for (const Operand& operand : OperandsByTable(node)) rounded.insert(operand.role);
  absl::flat_hash_set<absl::string_view> seen;
  for (const OperandFormat& operand : record->operand()) {
    const std::string& name = operand.operand();
    if (!rounded.contains(name)) {
      return Fault(node, "is quantized in operand '", name, "', which it does not have");
    }
    if (!seen.insert(name).second) {
      return Fault(node, "is quantized in operand '", name, "' twice");
    }
    if (operand.format().family_case() == FormatProto::FAMILY_NOT_SET) {
      return Fault(node, "is quantized in operand '", name, "' in no format");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyGraph(const Graph& graph) {
  if (graph.output() == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("graph '", graph.name(), "' has no output"));
  }
  if (graph.placeholders().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("graph '", graph.name(), "' has no input"));
  }
  MASE_RETURN_IF_ERROR(CheckUses(graph));
  MASE_RETURN_IF_ERROR(InferShapesFor(graph).status());
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    MASE_RETURN_IF_ERROR(CheckParameters(graph, *node));
    MASE_RETURN_IF_ERROR(CheckQuantization(*node));
  }
  return absl::OkStatus();
}

}  // namespace mase
