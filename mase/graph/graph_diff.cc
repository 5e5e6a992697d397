#include "mase/graph/graph_diff.h"

#include <cmath>
#include <cstring>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/graph/graph_io.h"
#include "mase/tensor/convert.h"

namespace mase {
namespace {

using google::protobuf::util::MessageDifferencer;

std::string RecordText(const NodeProto& node) {
  if (!node.metadata().has_quantization()) return "none";
  return node.metadata().quantization().ShortDebugString();
}

// "num_features=16, eps=1e-05", of what the other node has otherwise or not at all.
std::string OwnAttributes(const Node& node, const Node& other) {
  std::vector<std::string> own;
  for (const auto& [name, value] : node.attributes()) {
    const Attribute* same = other.attributes().Find(name);
    if (same != nullptr && *same == value) continue;
    own.push_back(absl::StrCat(name, "=", AttributeToPython(value)));
  }
  return own.empty() ? "none" : absl::StrJoin(own, ", ");
}

std::string Tensors(const Node& node) {
  if (node.parameters().empty()) return "none";
  return absl::StrJoin(node.parameters(), ", ", [](std::string* out, const Parameter& parameter) {
    absl::StrAppend(out, parameter.name, "=", parameter.tensor);
  });
}

NodeDiff CompareNodes(const Node& before, const Node& after) {
  NodeDiff diff{&before, &after};
  const auto compare = [&](absl::string_view what, absl::string_view x, absl::string_view y) {
    if (x != y) diff.changes.push_back(absl::StrCat(what, ": ", x, " -> ", y));
  };
  NodeProto a = NodeToProto(before), b = NodeToProto(after);
  compare("op", a.op(), b.op());
  compare("kind", NodeKindName(before.kind()), NodeKindName(after.kind()));
  compare("target", a.target(), b.target());
  compare("inputs", absl::StrJoin(a.input(), ", "), absl::StrJoin(b.input(), ", "));
  compare("attributes", OwnAttributes(before, after), OwnAttributes(after, before));
  compare("tensors", Tensors(before), Tensors(after));
  diff.record_changed =
      !MessageDifferencer::Equals(a.metadata().quantization(), b.metadata().quantization()) ||
      a.metadata().has_quantization() != b.metadata().has_quantization();
  if (diff.record_changed) {
    diff.changes.push_back(absl::StrCat("quantization: ", RecordText(a), " -> ", RecordText(b)));
  }
  a.mutable_metadata()->clear_quantization();
  b.mutable_metadata()->clear_quantization();
  diff.notes_differ = !MessageDifferencer::Equals(a.metadata(), b.metadata());
  return diff;
}

// Whether the tensors, of one name, differ; then in `diff` how.
bool Differ(const GraphTensor& before, const GraphTensor& after, TensorDiff* diff) {
  *diff = {&before, &after};
  if (before.buffer != after.buffer) return true;
  if (before.value.dtype() != after.value.dtype() || before.value.shape() != after.value.shape()) {
    return true;
  }
  if (BitEqual(before.value, after.value)) return false;
  const size_t size = ElementSize(before.value.dtype());
  const auto* x = static_cast<const char*>(before.value.raw_data());
  const auto* y = static_cast<const char*>(after.value.raw_data());
  std::vector<double> first(before.value.elements());
  VisitNumbers(before.value, [&](size_t i, double number) { first[i] = number; });
  VisitNumbers(after.value, [&](size_t i, double number) {
    if (std::memcmp(x + i * size, y + i * size, size) == 0) return;
    ++diff->elements;
    const double distance = std::abs(number - first[i]);
    // A NaN stays.
    if (!(distance <= diff->largest) && !std::isnan(diff->largest)) diff->largest = distance;
  });
  return true;
}

}  // namespace

std::string TensorDiff::Describe() const {
  if (after == nullptr) return "only in the first";
  if (before == nullptr) return "only in the second";
  if (elements > 0) {
    return absl::StrCat(elements, " of ", before->value.elements(),
                        elements == 1 ? " elements differs, by " : " elements differ, by at most ",
                        largest);
  }
  const auto type = [](const GraphTensor& tensor) {
    return absl::StrCat(DTypeName(tensor.value.dtype()), tensor.value.shape().ToString(),
                        tensor.buffer ? " buffer" : "");
  };
  return absl::StrCat(type(*before), " -> ", type(*after));
}

bool GraphDiff::equal() const {
  return tensors.empty() &&
         !absl::c_any_of(nodes, [](const NodeDiff& node) { return node.changed(); });
}

GraphDiff CompareGraphs(const Graph& first, const Graph& second) {
  GraphDiff diff;
  for (const Node* node = second.first(); node != nullptr; node = Graph::next(node)) {
    const Node* before = first.FindNode(node->name());
    diff.nodes.push_back(before == nullptr ? NodeDiff{nullptr, node}
                                           : CompareNodes(*before, *node));
  }
  for (const Node* node = first.first(); node != nullptr; node = Graph::next(node)) {
    if (second.FindNode(node->name()) == nullptr) diff.nodes.push_back({node, nullptr});
  }
  for (const GraphTensor& tensor : first.tensors()) {
    const GraphTensor* after = second.FindTensor(tensor.name);
    TensorDiff found{&tensor};
    if (after == nullptr || Differ(tensor, *after, &found)) diff.tensors.push_back(found);
  }
  for (const GraphTensor& tensor : second.tensors()) {
    if (first.FindTensor(tensor.name) == nullptr) diff.tensors.push_back({nullptr, &tensor});
  }
  return diff;
}

std::string DiffGraphs(const Graph& first, const Graph& second) {
  std::string text;
  const GraphDiff diff = CompareGraphs(first, second);
  for (const NodeDiff& node : diff.nodes) {
    const absl::string_view op = (node.before == nullptr ? node.after : node.before)->op();
    const auto line = [&](absl::string_view mark, absl::string_view what) {
      absl::StrAppend(&text, mark, " ", node.name(), " (", op, "): ", what, "\n");
    };
    if (node.after == nullptr) line("-", "only in the first");
    if (node.before == nullptr) line("+", "only in the second");
    for (const std::string& change : node.changes) line("~", change);
    if (node.notes_differ) line("~", "notes differ");
  }
  for (const TensorDiff& tensor : diff.tensors) {
    const char* mark = tensor.after == nullptr ? "-" : tensor.before == nullptr ? "+" : "~";
    absl::StrAppend(&text, mark, " tensor ", tensor.name(), ": ", tensor.Describe(), "\n");
  }
  return text;
}

}  // namespace mase
