// Pass plugin `add_software_metadata`: an empty place for statistics at every
// tensor that a node reads or makes; profiling passes fill them.
//
// The tensors are the data inputs, what the module owns (buffers too, but for batch
// norm's counter), and the results. Sizes have no statistics. Cost: O(nodes + uses).
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/graph/graph.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::add_software_metadata {
namespace {

SoftwareMetadata EmptyStatistics(const Node& node) {
  SoftwareMetadata software;
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    software.add_args()->set_name(absl::StrCat("data_in_", i));
  }
  for (const Parameter& parameter : node.parameters()) {
    if (node.kind() == NodeKind::kGetAttr || parameter.name == "num_batches_tracked") continue;
    software.add_args()->set_name(parameter.name);
  }
  if (node.Is(OpTrait::kFromShapes)) return software;
  for (const TensorMetadata& result : node.metadata().common().results()) {
    software.add_results()->set_name(result.name());
  }
  return software;
}

class AddSoftwareMetadataPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<AddSoftwareMetadataPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    for (Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      *node->mutable_metadata().mutable_software() = EmptyStatistics(*node);
    }
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<AddSoftwareMetadataPass>(
      "add_software_metadata", "Makes room for statistics at every tensor of every node.",
      {.kind = PassKind::kAnalysis, .needs = {"add_common_metadata"}});
}

}  // namespace
}  // namespace mase::plugins::add_software_metadata

MASE_DEFINE_PLUGIN("add_software_metadata", "1.0.0", mase::plugins::add_software_metadata::Register)
