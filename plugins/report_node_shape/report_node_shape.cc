// Pass plugin `report_node_shape`: what every node reads and makes, with shapes.
//
// Cost: O(nodes + uses).
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/empty.pb.h"
#include "mase/graph/graph.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::report_node_shape {
namespace {

void AppendShapes(const google::protobuf::RepeatedPtrField<TensorMetadata>& tensors,
                  std::string* text) {
  for (const TensorMetadata& tensor : tensors) {
    absl::StrAppend(text, tensor.name(), " = [", absl::StrJoin(tensor.shape(), ", "), "]\n");
  }
}

class ReportNodeShapePass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<ReportNodeShapePass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    std::string text = "Inspecting graph [add_common_node_shape_analysis_pass]\n";
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      absl::StrAppend(&text, node->name(), ":\nin:\n");
      AppendShapes(node->metadata().common().args(), &text);
      absl::StrAppend(&text, "out:\n");
      AppendShapes(node->metadata().common().results(), &text);
      absl::StrAppend(&text, "\n");
    }
    context.Print(text);
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ReportNodeShapePass>(
      "report_node_shape", "Prints the shapes of every node's inputs, tensors and results.",
      {.kind = PassKind::kAnalysis, .needs = {"add_common_metadata"}});
}

}  // namespace
}  // namespace mase::plugins::report_node_shape

MASE_DEFINE_PLUGIN("report_node_shape", "1.0.0", mase::plugins::report_node_shape::Register)
