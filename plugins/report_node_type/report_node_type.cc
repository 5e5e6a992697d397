// Pass plugin `report_node_type`: a table of what every node is.
//
// The value type is that of the first input: float, or a number format's name.
// Cost: O(nodes).
#include <memory>
#include <string>

#include "google/protobuf/empty.pb.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::report_node_type {
namespace {

class ReportNodeTypePass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<ReportNodeTypePass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    Table table({{"Node name"}, {"Fx Node op"}, {"Mase type"}, {"Mase op"}, {"Value type"}});
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      const CommonMetadata& common = node->metadata().common();
      const TensorMetadata* input = FindArgument(common, "data_in_0");
      table.AddRow({node->name(), std::string(NodeKindName(node->kind())), common.mase_type(),
                    common.mase_op(), input == nullptr ? "NA" : input->type()});
    }
    context.Print("Inspecting graph [add_common_node_type_analysis_pass]");
    context.Print(table.Simple());
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ReportNodeTypePass>(
      "report_node_type", "Prints every node's kind, class, op and value type.",
      {.kind = PassKind::kAnalysis, .needs = {"add_common_metadata"}});
}

}  // namespace
}  // namespace mase::plugins::report_node_type

MASE_DEFINE_PLUGIN("report_node_type", "1.0.0", mase::plugins::report_node_type::Register)
