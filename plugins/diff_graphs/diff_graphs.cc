// Pass plugin `diff_graphs`: what the passes before it have changed, node by node.
//
// Compares with the graph before the first pass, by names: types, formats, inputs, attributes and
// elements of tensors. Tables "nodes" and "tensors"; result has nodes, nodes_changed and
// tensors_changed. `ch diff A B` compares any two nets so. Cost: O(nodes + uses + elements).
#include <memory>

#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph_diff.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/diff_table.h"

namespace mase::plugins::diff_graphs {
namespace {

class DiffGraphsPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<DiffGraphsPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const GraphDiff diff = CompareGraphs(context.original(), graph);
    MASE_RETURN_IF_ERROR(context.AddTable(NodeDiffTable(diff)));
    if (!diff.tensors.empty()) MASE_RETURN_IF_ERROR(context.AddTable(TensorDiffTable(diff)));
    context.Print(DiffSentence(diff));
    int changed = 0;
    for (const NodeDiff& node : diff.nodes) changed += node.changed();
    auto& fields = *context.result().mutable_fields();
    fields["nodes"].set_number_value(static_cast<double>(diff.nodes.size()));
    fields["nodes_changed"].set_number_value(changed);
    fields["tensors_changed"].set_number_value(static_cast<double>(diff.tensors.size()));
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<DiffGraphsPass>(
      "diff_graphs", "Says node by node what the passes before it have changed.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::diff_graphs

MASE_DEFINE_PLUGIN("diff_graphs", "1.0.0", mase::plugins::diff_graphs::Register)
