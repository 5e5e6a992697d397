// Pass plugin `init_metadata`: forgets all notes on nodes (common, software).
//
// What a node is, its quantization included, stays. Cost: O(nodes).
#include <memory>

#include "google/protobuf/empty.pb.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::init_metadata {
namespace {

class InitMetadataPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<InitMetadataPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    for (Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      node->mutable_metadata().clear_common();
      node->mutable_metadata().clear_software();
    }
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<InitMetadataPass>(
      "init_metadata", "Forgets everything that earlier passes noted about nodes.",
      {.kind = PassKind::kAnalysis, .discards_notes = true});
}

}  // namespace
}  // namespace mase::plugins::init_metadata

MASE_DEFINE_PLUGIN("init_metadata", "1.0.0", mase::plugins::init_metadata::Register)
