// Plugin `@NAME@`: an analysis pass. It counts the nodes of an op that its options name.
#include <memory>
#include <utility>

#include "@NAME@_options.pb.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/graph/op_schema.h"
#include "mase/plugin/plugin.h"

namespace @NAME@ {

using mase::Graph;
using mase::Node;

class @CLASS@Pass final : public mase::Pass {
 public:
  using Options = @CLASS@Options;

  // Options are complete and in range here; what is wrong with them besides is said before any
  // pass runs.
  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    MASE_RETURN_IF_ERROR(mase::LookUpOp(options.op()).status());
    return std::make_unique<@CLASS@Pass>(options);
  }

  explicit @CLASS@Pass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<mase::PassResult> Run(Graph& graph, mase::PassContext& context) const override {
    mase::Table table("nodes", "Nodes of " + options_.op(), {{"node"}, {"inputs"}});
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (node->op() != options_.op()) continue;
      context.Count("nodes");
      context.Note(*node, "counted", options_.op(), "op");
      table.AddRow({node->name(), node->inputs().size()});
    }
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    return mase::PassResult::Unchanged();
  }

 private:
  const Options options_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddPass<@CLASS@Pass>("@NAME@", "Counts the nodes of an op.",
                                        {.kind = mase::PassKind::kAnalysis});
}

}  // namespace @NAME@

// Who answers for it, and whether users may rely on it: `ch plugins describe` prints both.
MASE_DEFINE_PLUGIN("@NAME@", "1.0.0", @NAME@::Register, .owner = "", .status = "experimental")
