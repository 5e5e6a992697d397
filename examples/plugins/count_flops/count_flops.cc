// Example plugin: multiply-accumulates and other arithmetic of each node, as one writes it by hand
// for a report. Without options, so that one command builds it:
//
//   SDK=/path/to/mase-sdk-1.3.0
//   g++ -O2 $(PKG_CONFIG_PATH=$SDK/lib/pkgconfig pkg-config --cflags --libs mase-sdk)
//       -o count_flops.so count_flops.cc                     (one line)
//   $SDK/bin/ch transform jsc-tiny jsc --plugins=./count_flops.so --set=passes.count_flops={}
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"

namespace count_flops {

using mase::Graph;
using mase::Node;

class CountFlopsPass final : public mase::Pass {
 public:
  using Options = google::protobuf::Empty;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options&) {
    return std::make_unique<CountFlopsPass>();
  }

  absl::StatusOr<mase::PassResult> Run(Graph& graph, mase::PassContext& context) const override {
    // Shapes for one row; a graph does not carry them.
    MASE_ASSIGN_OR_RETURN(const mase::InferredShapes shapes, mase::InferShapesFor(graph, 1));
    mase::Table table("flops", "Arithmetic of each node, for one row",
                      {{"node"}, {"op"}, {"MACs"}, {"other"}, {"FLOPs"}});
    int64_t macs = 0, other = 0;
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (node->schema().cost.count == nullptr) continue;  // Free.
      std::vector<mase::ValueInfo> inputs, results;
      for (const mase::Value* value : node->inputs()) inputs.push_back(shapes.info(value));
      for (const mase::Value* value : node->outputs()) results.push_back(shapes.info(value));
      const mase::OpCost cost = node->schema().cost.count(inputs, results, node->attributes());
      table.AddRow({node->name(), node->op(), cost.macs, cost.other, 2 * cost.macs + cost.other});
      macs += cost.macs;
      other += cost.other;
    }
    (*context.result().mutable_fields())["macs"].set_number_value(static_cast<double>(macs));
    (*context.result().mutable_fields())["flops"].set_number_value(
        static_cast<double>(2 * macs + other));
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    return mase::PassResult::Unchanged();
  }
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddPass<CountFlopsPass>("count_flops", "Counts the arithmetic of each node.",
                                           {.kind = mase::PassKind::kAnalysis});
}

}  // namespace count_flops

MASE_DEFINE_PLUGIN("count_flops", "1.0.0", count_flops::Register, .owner = "MASE in C++",
                   .status = "stable")
