// Pass plugin `add_common_metadata`: classifies every node and notes the shapes,
// types and precisions of what it reads and makes.
//
// Shapes are those for the batch of the run's data, else for the batch that the
// graph was built with. Nothing is computed and no tensor is kept. Notes on
// quantized nodes tell their formats. Cost: O(nodes + uses).
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/pass/common_metadata.h"
#include "mase/plugin/plugin.h"

namespace mase::plugins::add_common_metadata {
namespace {

// Rows of the dummy batch, which must have a tensor for every input that agrees
// with it in all but the rows.
absl::StatusOr<int64_t> BatchSize(const Graph& graph, const std::map<std::string, Tensor>& batch) {
  int64_t rows = -1;
  for (const Node* node : graph.placeholders()) {
    const auto tensor = batch.find(node->name());
    if (tensor == batch.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the dummy batch has no tensor for input '", node->name(), "'"));
    }
    const std::vector<int64_t>& want = node->attributes().Ints("shape");
    const absl::Span<const int64_t> got = tensor->second.shape().dims();
    if (got.empty() || got.size() != want.size() ||
        !std::equal(got.begin() + 1, got.end(), want.begin() + 1) ||
        (rows != -1 && rows != got[0])) {
      return absl::InvalidArgumentError(
          absl::StrCat("the dummy batch for input '", node->name(), "' has shape ",
                       tensor->second.shape().ToString(), ", want ", Shape(want).ToString(),
                       " with the same number of rows for all inputs"));
    }
    rows = got[0];
  }
  return rows;
}

class AddCommonMetadataPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<AddCommonMetadataPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    int64_t rows = -1;  // As the graph was built.
    const auto batch = context.DummyBatch();
    if (batch.ok()) {
      MASE_ASSIGN_OR_RETURN(rows, BatchSize(graph, *batch));
    } else if (!absl::IsUnimplemented(batch.status())) {
      return batch.status();
    }
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
    for (Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      MASE_ASSIGN_OR_RETURN(*node->mutable_metadata().mutable_common(),
                            DescribeNode(graph, *node, shapes));
    }
    context.Count("nodes", graph.node_count());
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<AddCommonMetadataPass>(
      "add_common_metadata", "Notes every node's class, shapes, types and precisions.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::add_common_metadata

MASE_DEFINE_PLUGIN("add_common_metadata", "1.0.0", mase::plugins::add_common_metadata::Register)
