// Pass plugin `report_graph`: the graph as text, as MASE prints it, and what its
// words mean.
//
// Three parts: the graph in PyTorch FX's printed form, "Network overview" with the
// number of nodes of each kind, "Layer types" with every module. After them, a
// table of nodes with shapes and parameters. Cost: O(nodes + uses).
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "plugins/report_graph/report_graph_options.pb.h"

namespace mase::plugins::report_graph {
namespace {

struct KindEntry {
  NodeKind kind;
  absl::string_view meaning;
};
constexpr std::array<KindEntry, 6> kKinds = {{
    {NodeKind::kPlaceholder, "an input of the net"},
    {NodeKind::kGetAttr, "a tensor that is read"},
    {NodeKind::kCallFunction, "a free function"},
    {NodeKind::kCallMethod, "a method of its first input"},
    {NodeKind::kCallModule, "a layer, which may own parameters"},
    {NodeKind::kOutput, "the result"},
}};

int CountKind(const Graph& graph, NodeKind kind) {
  int count = 0;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    count += node->kind() == kind;
  }
  return count;
}

int CountUsers(const Node& node) {
  absl::flat_hash_set<const Node*> users;
  for (const Value* value : node.outputs()) {
    for (const Use& use : value->uses()) users.insert(use.node);
  }
  return static_cast<int>(users.size());
}

// A Python tuple: (%x,) or (%x, %y).
std::string Arguments(const Node& node) {
  const auto name = [](std::string* out, const Value* value) {
    absl::StrAppend(out, "%", value->name());
  };
  const auto inputs = node.inputs();
  return absl::StrCat("(", absl::StrJoin(inputs, ", ", name), inputs.size() == 1 ? ",)" : ")");
}

// A module's attributes are shown with its layer type; a function's are its arguments.
std::string KeywordArguments(const Node& node) {
  if (node.kind() == NodeKind::kCallModule) return "{}";
  std::vector<std::string> given;
  for (const auto& [name, value] : node.attributes()) {
    given.push_back(absl::StrCat(name, ": ", AttributeToPython(value)));
  }
  return absl::StrCat("{", absl::StrJoin(given, ", "), "}");
}

// One line of FX's text.
std::string NodeLine(const Node& node) {
  if (node.kind() == NodeKind::kOutput) {
    const auto name = [](std::string* out, const Value* value) {
      absl::StrAppend(out, value->name());
    };
    const std::string names = absl::StrJoin(node.inputs(), ", ", name);
    return absl::StrCat("return ",
                        node.inputs().size() == 1 ? names : absl::StrCat("(", names, ")"));
  }
  std::string line =
      absl::StrCat("%", node.name(), " : [num_users=", CountUsers(node),
                   "] = ", NodeKindName(node.kind()), "[target=", node.target(), "]");
  if (node.kind() == NodeKind::kPlaceholder || node.kind() == NodeKind::kGetAttr) return line;
  absl::StrAppend(&line, "(args = ", Arguments(node), ", kwargs = ", KeywordArguments(node), ")");
  return line;
}

std::string GraphText(const Graph& graph) {
  std::string text = "graph():";
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    absl::StrAppend(&text, "\n    ", NodeLine(*node));
  }
  return text;
}

std::string Overview(const Graph& graph) {
  std::vector<std::string> counts;
  for (const KindEntry& entry : kKinds) {
    counts.push_back(
        absl::StrCat("'", NodeKindName(entry.kind), "': ", CountKind(graph, entry.kind)));
  }
  return absl::StrCat("{", absl::StrJoin(counts, ", "), "}");
}

std::string LayerTypes(const Graph& graph) {
  std::vector<std::string> layers;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->kind() == NodeKind::kCallModule) layers.push_back(node->Description());
  }
  return absl::StrCat("[", absl::StrJoin(layers, ", "), "]");
}

std::string Legend(const Graph& graph) {
  std::vector<std::string> parts;
  for (const KindEntry& entry : kKinds) {
    const int count = CountKind(graph, entry.kind);
    if (count == 0) continue;
    parts.push_back(absl::StrCat(NodeKindName(entry.kind), " = ", entry.meaning, " (", count, ")"));
  }
  return absl::StrCat("Legend: ", absl::StrJoin(parts, "; "));
}

int64_t CountParameters(const Graph& graph, const Node& node) {
  int64_t count = 0;
  for (const Parameter& parameter : node.parameters()) {
    const GraphTensor& tensor = *graph.FindTensor(parameter.tensor);
    if (!tensor.buffer) count += tensor.value.elements();
  }
  return count;
}

std::string NodeTable(const Graph& graph, const InferredShapes& shapes) {
  Table table({{"Node"}, {"Kind"}, {"Op"}, {"Shape"}, {"Parameters"}});
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    const auto shape = [&shapes](std::string* out, const Value* value) {
      absl::StrAppend(out, shapes.shape(value).ToString());
    };
    const auto values = node->kind() == NodeKind::kOutput
                            ? node->inputs()
                            : absl::Span<Value* const>(node->outputs());
    table.AddRow({node->name(), std::string(NodeKindName(node->kind())),
                  std::string(node->mase_op()), absl::StrJoin(values, " ", shape),
                  CountParameters(graph, *node)});
  }
  return table.Text();
}

class ReportGraphPass final : public Pass {
 public:
  using Options = ReportGraphOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<ReportGraphPass>(options);
  }

  explicit ReportGraphPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, BatchOf(graph)));
    const std::string report =
        absl::StrCat(GraphText(graph), "\nNetwork overview:\n", Overview(graph), "\nLayer types:\n",
                     LayerTypes(graph), "\n\n", Legend(graph), "\n", NodeTable(graph, shapes));
    for (const KindEntry& entry : kKinds) {
      const int count = CountKind(graph, entry.kind);
      context.Count(NodeKindName(entry.kind), count);
    }
    if (options_.file_name().empty()) {
      context.Print(report);
    } else {
      MASE_RETURN_IF_ERROR(context.WriteArtifact(options_.file_name(), report));
    }
    return PassResult::Unchanged();
  }

 private:
  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ReportGraphPass>("report_graph",
                                            "Prints the graph, its layers and what they mean.",
                                            {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::report_graph

MASE_DEFINE_PLUGIN("report_graph", "1.0.0", mase::plugins::report_graph::Register)
