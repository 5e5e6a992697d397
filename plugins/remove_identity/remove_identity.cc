// Pass plugin `remove_identity`: deletes nodes that only forward their input.
//
//   before: x -> identity -> relu -> output      after: x -> relu -> output
//
// Results do not change, nor do notes on other nodes. Cost: O(nodes + uses).
#include <memory>
#include <set>
#include <string>

#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"
#include "plugins/remove_identity/remove_identity_options.pb.h"

namespace mase::plugins::remove_identity {
namespace {

class RemoveIdentityPass final : public Pass {
 public:
  using Options = RemoveIdentityOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<RemoveIdentityPass>(options);
  }

  explicit RemoveIdentityPass(const Options& options)
      : keep_(options.keep_name().begin(), options.keep_name().end()) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    for (const std::string& name : keep_) {  // Before any change.
      MASE_RETURN_IF_ERROR(graph.LookUpNode(name).status());
    }
    int removed = 0;
    // NodesInOrder() is a snapshot, so erasing while walking it is safe.
    for (Node* node : graph.NodesInOrder()) {
      if (node->op() != ops::kIdentity) continue;
      if (keep_.count(node->name()) > 0) {
        context.Note(*node, "kept", "keep_name", "keep_name");
        continue;
      }
      graph.ReplaceAllUses(node->outputs()[0], node->inputs()[0]);
      MASE_RETURN_IF_ERROR(graph.EraseNode(node));
      ++removed;
    }
    context.Count("nodes_removed", removed);
    return removed > 0 ? PassResult::Changed() : PassResult::Unchanged();
  }

 private:
  const std::set<std::string> keep_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<RemoveIdentityPass>(
      "remove_identity", "Deletes nodes that only forward their input.", {.keeps_notes = true});
}

}  // namespace
}  // namespace mase::plugins::remove_identity

MASE_DEFINE_PLUGIN("remove_identity", "1.0.0", mase::plugins::remove_identity::Register)
