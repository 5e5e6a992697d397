// Pass plugin `summary`: the net layer by layer, as torchinfo and Keras print it.
//
// Table "layers": type, shape of the result, trained parameters and multiply-accumulates of every
// node. result has rows and total: parameters, buffers, macs, and the bytes of inputs, of all
// results and of parameters in float32. A tensor that several nodes share counts once in total.
// Cost: O(nodes + uses).
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/cost.h"

namespace mase::plugins::summary {
namespace {

class SummaryPass final : public Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<SummaryPass>();
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const int64_t rows = BatchOf(graph);
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
    MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs, CostsOf(graph, shapes));
    Table table("layers", absl::StrCat("Net ", graph.name(), ", batch of ", rows),
                {{"layer"}, {"type"}, {"output shape"}, {"parameters"}, {"MACs"}});
    int64_t macs = 0, input_bytes = 0, result_bytes = 0;
    for (const NodeCost& cost : costs) {
      const Node& node = *cost.node;
      if (node.kind() == NodeKind::kOutput) continue;
      std::string shape;
      for (const Value* value : node.outputs()) {
        const ValueInfo& info = shapes.info(value);
        absl::StrAppend(&shape, shape.empty() ? "" : " ", info.shape.ToString());
        const auto bytes = info.shape.elements() * static_cast<int64_t>(ElementSize(info.dtype));
        (node.kind() == NodeKind::kPlaceholder ? input_bytes : result_bytes) += bytes;
      }
      const bool is_input = node.kind() == NodeKind::kPlaceholder;
      table.AddRow(
          {node.name(), is_input ? "input" : node.TypeName(), shape, cost.parameters, cost.macs});
      macs += cost.macs;
    }
    MASE_RETURN_IF_ERROR(context.AddTable(table));
    const int64_t parameters = graph.parameter_count(), buffers = graph.buffer_count();
    auto& fields = *context.result().mutable_fields();
    fields["rows"].set_number_value(static_cast<double>(rows));
    auto& total = *fields["total"].mutable_struct_value()->mutable_fields();
    const auto set = [&](const char* name, int64_t number) {
      total[name].set_number_value(static_cast<double>(number));
    };
    set("parameters", parameters);
    set("buffers", buffers);
    set("macs", macs);
    set("input_bytes", input_bytes);
    set("result_bytes", result_bytes);
    set("parameter_bytes", 4 * parameters);
    context.Print(absl::StrCat(
        "Trained parameters ", parameters, " (", 4 * parameters, " bytes in float32), buffers ",
        buffers, "\nMultiply-accumulates of a batch of ", rows, ": ", macs, "\nBytes of its input ",
        input_bytes, ", of all results ", result_bytes));
    return PassResult::Unchanged();
  }
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<SummaryPass>(
      "summary", "Lists layers with their shapes, parameters and multiply-accumulates.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::summary

MASE_DEFINE_PLUGIN("summary", "1.0.0", mase::plugins::summary::Register)
