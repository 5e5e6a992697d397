#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/graph_text_internal.h"
#include "mase/graph/shape_inference.h"

namespace mase {
namespace {

using graph_text::DefaultKind;
using graph_text::DefaultTarget;
using graph_text::DefaultTensor;
using graph_text::OwnedTensors;

std::string Quoted(absl::string_view text) { return absl::StrCat("\"", absl::CEscape(text), "\""); }

std::string Word(absl::string_view name) {
  const bool bare = !name.empty() && absl::c_all_of(name, graph_text::IsBare);
  return bare ? std::string(name) : Quoted(name);
}

std::string Type(DType dtype, const Shape& shape) {
  for (const graph_text::TypeWord& type : graph_text::kTypeWords) {
    if (type.dtype == dtype) return absl::StrCat(type.word, shape.ToString());
  }
  return "";
}

std::string AttributeText(const Attribute& attribute) {
  const std::string* text = std::get_if<std::string>(&attribute);
  return text != nullptr ? Quoted(*text) : AttributeToPython(attribute);
}

// Equal as text, so that -0.0 is not taken for 0.0.
bool IsDefault(const Node& node, absl::string_view name, const Attribute& value) {
  for (const AttributeSpec& spec : node.schema().attributes) {
    if (spec.name == name)
      return !spec.required && AttributeText(spec.fallback) == AttributeText(value);
  }
  return false;
}

bool HasDefaultTensors(const Node& node) {
  const std::vector<ParameterSpec> owned =
      OwnedTensors(node.schema(), node.kind(), node.attributes());
  return absl::c_equal(node.parameters(), owned, [&](const Parameter& have, const auto& want) {
    return have.name == want.name && have.tensor == DefaultTensor(node.target(), want.name);
  });
}

// Whether the tensors are those that the nodes own, in the nodes' order. Only for graphs whose
// shapes fit: a parameter rule may divide by an attribute that they have checked.
bool TensorsFollow(const Graph& graph) {
  absl::flat_hash_set<absl::string_view> seen;
  size_t count = 0;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const ParameterSpec& spec :
         OwnedTensors(node->schema(), node->kind(), node->attributes())) {
      const std::string* name = node->FindParameter(spec.name);
      if (name == nullptr) return false;
      if (!seen.insert(*name).second) continue;
      if (count == graph.tensors().size()) return false;
      const GraphTensor& tensor = graph.tensors()[count++];
      const bool same = tensor.name == *name && tensor.buffer == spec.buffer &&
                        tensor.value.dtype() == spec.dtype && tensor.value.shape() == spec.shape;
      if (!same) return false;
    }
  }
  return count == graph.tensors().size();
}

std::string TensorLine(const GraphTensor& tensor) {
  return absl::StrCat("tensor ", Word(tensor.name), " : ",
                      Type(tensor.value.dtype(), tensor.value.shape()),
                      tensor.buffer ? " buffer" : "", "\n");
}

std::string RecordLines(const Quantization& record) {
  std::string text = absl::StrCat("  quantized ", Word(record.format()));
  if (!record.class_suffix().empty())
    absl::StrAppend(&text, " class ", Word(record.class_suffix()));
  absl::StrAppend(&text, "\n");
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetHideUnknownFields(true);
  for (const OperandFormat& operand : record.operand()) {
    std::string format;
    printer.PrintToString(operand.format(), &format);
    if (!format.empty() && format.back() == ' ') format.pop_back();
    absl::StrAppend(&text, "  ", Word(operand.operand()), " = ", format, "\n");
  }
  return text;
}

// `type` is empty where it is not known.
std::string NodeLine(const Node& node, const std::string& type, bool tensors_by_default) {
  std::vector<std::string> arguments;
  for (const Value* input : node.inputs()) arguments.push_back(input->name());
  for (const auto& [name, value] : node.attributes()) {
    const bool in_type = node.kind() == NodeKind::kPlaceholder && !type.empty() &&
                         (name == "shape" || name == "dtype");
    if (in_type || IsDefault(node, name, value)) continue;
    arguments.push_back(absl::StrCat(name, "=", AttributeText(value)));
  }
  if (!tensors_by_default) {
    for (const Parameter& parameter : node.parameters()) {
      arguments.push_back(absl::StrCat(Word(parameter.name), "=%", Word(parameter.tensor)));
    }
  }
  std::string kind;
  for (const graph_text::KindWord& word : graph_text::kKindWords) {
    if (word.kind == node.kind() && word.kind != DefaultKind(node.schema())) {
      kind = absl::StrCat(word.word, " ");
    }
  }
  std::string line =
      absl::StrCat(node.name(), " = ", kind, node.op(), "(", absl::StrJoin(arguments, ", "), ")");
  if (node.target() != DefaultTarget(node.kind(), node.name(), node.op())) {
    absl::StrAppend(&line, " @", Word(node.target()));
  }
  if (!type.empty()) absl::StrAppend(&line, " : ", type);
  return line;
}

}  // namespace

std::string WriteGraphText(const Graph& graph) {
  std::string text;
  if (!graph.name().empty()) absl::StrAppend(&text, "graph ", Word(graph.name()), "\n");
  const absl::StatusOr<InferredShapes> shapes = InferShapesFor(graph);
  if (!shapes.ok() || !TensorsFollow(graph)) {
    for (const GraphTensor& tensor : graph.tensors()) absl::StrAppend(&text, TensorLine(tensor));
  }
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    std::string type;
    if (shapes.ok() && !node->outputs().empty()) {
      const ValueInfo& info = shapes->info(node->outputs()[0]);
      type = Type(info.dtype, info.shape);
    }
    absl::StrAppend(&text, NodeLine(*node, type, shapes.ok() && HasDefaultTensors(*node)), "\n");
    if (node->quantization() != nullptr) absl::StrAppend(&text, RecordLines(*node->quantization()));
  }
  return text;
}

}  // namespace mase
