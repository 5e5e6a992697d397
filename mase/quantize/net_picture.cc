#include "mase/quantize/net_picture.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

// "[8, 16]" of what the node makes, or of what an output is given.
std::string ShapeText(const Node& node, const InferredShapes& shapes) {
  const bool is_output = node.kind() == NodeKind::kOutput;
  std::string text;
  for (const Value* value : is_output ? node.inputs() : node.outputs()) {
    absl::StrAppend(&text, text.empty() ? "" : " ", shapes.shape(value).ToString());
  }
  return text;
}

}  // namespace

Diagram NetDiagram(const Graph& graph, const InferredShapes& shapes) {
  Diagram diagram = {.title = graph.name()};
  absl::flat_hash_map<const Node*, int> boxes;
  absl::flat_hash_map<std::string, std::string> colors;  // By formats.
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    boxes[node] = static_cast<int>(diagram.boxes.size());
    Diagram::Box box = {.lines = {node->name()}};
    if (node->TypeName() != node->name()) box.lines.push_back(node->TypeName());
    box.lines.push_back(ShapeText(*node, shapes));
    if (node->quantization() != nullptr) {
      const std::string formats = DescribeRecord(*node->quantization());
      const auto [color, is_new] =
          colors.try_emplace(formats, DiagramColor(static_cast<int>(colors.size())));
      if (is_new) diagram.legend.emplace_back(formats, color->second);
      box.color = color->second;
    }
    diagram.boxes.push_back(std::move(box));
    for (const Value* input : node->inputs()) {
      diagram.arrows.push_back({boxes.at(input->producer()), boxes.at(node)});
    }
  }
  return diagram;
}

}  // namespace mase
