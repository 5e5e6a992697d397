#include "mase/quantize/diff_table.h"

#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

std::string Formats(const Node* node) {
  if (node == nullptr || node->quantization() == nullptr) return "";
  return DescribeRecord(*node->quantization());
}

// What differs besides the record, which has columns of its own.
std::string OtherChanges(const NodeDiff& node) {
  if (node.after == nullptr) return "only in the first";
  if (node.before == nullptr) return "only in the second";
  std::vector<std::string> others;
  for (const std::string& change : node.changes) {
    if (!absl::StartsWith(change, "quantization: ")) others.push_back(change);
  }
  return absl::StrJoin(others, "; ");
}

}  // namespace

Table NodeDiffTable(const GraphDiff& diff) {
  Table table("nodes", "Nodes of both nets",
              {{"node"},
               {.name = "MASE type", .rank = 3},
               {.name = "MASE op", .rank = 1},
               {"type before"},
               {"type after"},
               {"changed"},
               {.name = "formats before", .rank = 2},
               {"formats after"},
               {.name = "other changes", .rank = 1}});
  for (const NodeDiff& node : diff.nodes) {
    const Node& either = *(node.before == nullptr ? node.after : node.before);
    table.AddRow({either.name(), std::string(either.mase_type()), std::string(either.mase_op()),
                  node.before == nullptr ? "" : node.before->TypeName(),
                  node.after == nullptr ? "" : node.after->TypeName(), node.changed(),
                  Formats(node.before), Formats(node.after), OtherChanges(node)});
  }
  return table;
}

Table TensorDiffTable(const GraphDiff& diff) {
  Table table("tensors", "Tensors that differ", {{"tensor"}, {"difference"}});
  for (const TensorDiff& tensor : diff.tensors) table.AddRow({tensor.name(), tensor.Describe()});
  return table;
}

std::string DiffSentence(const GraphDiff& diff) {
  if (diff.equal()) return "The nets are the same.";
  const auto changed =
      absl::c_count_if(diff.nodes, [](const NodeDiff& node) { return node.changed(); });
  return absl::StrCat(changed, " of ", diff.nodes.size(), " nodes changed, ", diff.tensors.size(),
                      diff.tensors.size() == 1 ? " tensor differs." : " tensors differ.");
}

}  // namespace mase
