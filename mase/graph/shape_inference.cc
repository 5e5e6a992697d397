#include "mase/graph/shape_inference.h"

#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

absl::Status AtNode(const Node& node, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(node.name(), " (", node.op(), "): ", status.message()));
}

absl::Status CheckInputTypes(const OpSchema& schema, absl::Span<const ValueInfo> inputs) {
  if (schema.input_types == InputTypes::kAny) return absl::OkStatus();
  const DType wanted = schema.input_types == InputTypes::kIds ? DType::kInt64 : DType::kFloat32;
  for (const ValueInfo& input : inputs) {
    if (input.dtype == wanted) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("an input of type ", DTypeName(input.dtype), ", want ", DTypeName(wanted)));
  }
  return absl::OkStatus();
}

absl::Status CheckNumbers(const Attributes& attributes) {
  for (const auto& [name, value] : attributes) {
    const double* const number = std::get_if<double>(&value);
    if (number == nullptr || !std::isnan(*number)) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, "=nan: want a number"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ValueInfo>> Apply(const Node& node, absl::Span<const ValueInfo> inputs,
                                             int64_t batch) {
  MASE_RETURN_IF_ERROR(CheckInputTypes(node.schema(), inputs));
  MASE_RETURN_IF_ERROR(CheckNumbers(node.attributes()));
  if (node.kind() == NodeKind::kPlaceholder && batch >= 0) {
    std::vector<int64_t> dims = node.attributes().Ints("shape");
    if (!dims.empty()) dims[0] = batch;
    Attributes attributes = node.attributes();
    attributes.Set("shape", std::move(dims));
    return node.schema().shape_rule(inputs, attributes);
  }
  return node.schema().shape_rule(inputs, node.attributes());
}

}  // namespace

absl::StatusOr<InferredShapes> InferShapesFor(const Graph& graph, int64_t batch) {
  InferredShapes inferred;
  inferred.first_.assign(graph.id_limit(), -1);
  inferred.infos_.reserve(graph.node_count());
  std::vector<ValueInfo> inputs;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    inputs.clear();
    for (const Value* input : node->inputs()) {
      if (inferred.first_[input->producer()->id()] < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(node->name(), ": reads '", input->name(),
                         "', which is produced later: a cycle, or nodes out of order"));
      }
      inputs.push_back(inferred.info(input));
    }
    absl::StatusOr<std::vector<ValueInfo>> results = Apply(*node, inputs, batch);
    if (!results.ok()) return AtNode(*node, results.status());
    for (const ValueInfo& result : *results) {
      if (absl::Status status = result.shape.Validate(); !status.ok()) return AtNode(*node, status);
    }
    inferred.first_[node->id()] = static_cast<int>(inferred.infos_.size());
    for (ValueInfo& result : *results) inferred.infos_.push_back(std::move(result));
  }
  return inferred;
}

OpCost ArithmeticOf(const Node& node, const InferredShapes& shapes) {
  if (node.schema().cost.count == nullptr) return {};
  std::vector<ValueInfo> inputs, results;
  for (const Value* input : node.inputs()) inputs.push_back(shapes.info(input));
  for (const Value* result : node.outputs()) results.push_back(shapes.info(result));
  return node.schema().cost.count(inputs, results, node.attributes());
}

int64_t BatchOf(const Graph& graph) {
  const std::vector<Node*> placeholders = graph.placeholders();
  if (placeholders.empty()) return 1;
  const Node& node = *placeholders[0];
  const Shape& inferred = node.outputs()[0]->shape();
  if (inferred.rank() > 0) return inferred[0];
  const std::vector<int64_t>& declared = node.attributes().Ints("shape");
  return declared.empty() ? 1 : declared[0];
}

absl::Status InferShapes(Graph& graph, int64_t batch) {
  MASE_ASSIGN_OR_RETURN(InferredShapes inferred, InferShapesFor(graph, batch));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (Value* value : node->outputs()) graph.SetInfo(value, inferred.info(value));
  }
  return absl::OkStatus();
}

}  // namespace mase
