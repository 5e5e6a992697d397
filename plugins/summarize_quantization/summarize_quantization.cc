// Pass plugin `summarize_quantization`: which nodes were quantized, by comparison
// with the graph before the first pass.
//
// Prints the histogram of types and writes quantize/quantize_table.csv (one row a
// node) and quantize/quantize_histogram.csv. Nodes are paired by name; a node
// counts as changed if its quantization record did, or if it is new. Runs by
// itself after `quantize`. Cost: O(nodes log nodes).
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/graph_diff.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::summarize_quantization {
namespace {

struct Row {
  std::string original_name, new_name;
  std::string mase_type, mase_op;
  std::string original_type, quantized_type;
  bool changed = false;
};

std::vector<Row> Compare(const Graph& original, const Graph& graph) {
  std::vector<Row> rows;
  for (const NodeDiff& node : CompareGraphs(original, graph).nodes) {
    if (node.after == nullptr) continue;
    const Node* before = node.before;
    rows.push_back({.original_name = before == nullptr ? "" : before->name(),
                    .new_name = node.after->name(),
                    .mase_type = std::string(node.after->mase_type()),
                    .mase_op = std::string(node.after->mase_op()),
                    .original_type = before == nullptr ? "" : before->TypeName(),
                    .quantized_type = node.after->TypeName(),
                    .changed = before == nullptr || node.record_changed});
  }
  return rows;
}

// As pandas writes a frame: an index without a name in front.
std::string CompareCsv(const std::vector<Row>& rows) {
  Table table({{""},
               {"Ori name"},
               {"New name"},
               {"MASE_TYPE"},
               {"Mase_OP"},
               {"Original type"},
               {"Quantized type"},
               {"Changed"}});
  for (const Row& row : rows) {
    table.AddRow({table.num_rows(), row.original_name, row.new_name, row.mase_type, row.mase_op,
                  row.original_type, row.quantized_type, row.changed ? "True" : "False"});
  }
  return table.Csv();
}

struct TypeCount {
  std::string op;  // Of the type's first node.
  int total = 0;
  int changed = 0;
};

std::map<std::string, TypeCount> CountTypes(const std::vector<Row>& rows) {
  std::map<std::string, TypeCount> counts;  // Byte order: capitals first, as in MASE.
  for (const Row& row : rows) {
    TypeCount& count = counts[row.original_type];
    if (count.total == 0) count.op = row.mase_op;
    ++count.total;
    count.changed += row.changed;
  }
  return counts;
}

Table Histogram(const std::map<std::string, TypeCount>& counts) {
  Table table({{"Original type"}, {"OP"}, {"Total"}, {"Changed"}, {"Unchanged"}});
  for (const auto& [type, count] : counts) {
    table.AddRow({type, count.op, count.total, count.changed, count.total - count.changed});
  }
  return table;
}

class SummarizeQuantizationPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<SummarizeQuantizationPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const std::vector<Row> rows = Compare(context.original(), graph);
    const Table histogram = Histogram(CountTypes(rows));
    MASE_RETURN_IF_ERROR(context.WriteArtifact("quantize/quantize_table.csv", CompareCsv(rows)));
    MASE_RETURN_IF_ERROR(context.WriteArtifact("quantize/quantize_histogram.csv", histogram.Csv()));
    context.Print(absl::StrCat("Quantized graph histogram:\n", histogram.Org()));
    for (const Row& row : rows) {
      context.Count(row.changed ? "nodes_changed" : "nodes_unchanged");
    }
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<SummarizeQuantizationPass>(
      "summarize_quantization", "Counts and lists the nodes that were quantized.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::summarize_quantization

MASE_DEFINE_PLUGIN("summarize_quantization", "1.0.0",
                   mase::plugins::summarize_quantization::Register)
