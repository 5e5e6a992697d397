// Pass plugin `calculate_flops`: arithmetic of every node, and of the net.
//
// For the rows of a batch, by the rules of the table of ops, in whole operations. Table "costs";
// result.total has parameters, forward and backward (MAC), or parameters and flops (FLOP).
// Cost: O(nodes + uses).
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/cost.h"
#include "plugins/calculate_flops/calculate_flops_options.pb.h"

namespace mase::plugins::calculate_flops {
namespace {

class CalculateFlopsPass final : public Pass {
 public:
  using Options = CalculateFlopsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<CalculateFlopsPass>(options);
  }

  explicit CalculateFlopsPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const int64_t rows = BatchOf(graph);
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
    MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs, CostsOf(graph, shapes));
    const bool is_mac = options_.convention() == Options::MAC;
    MASE_RETURN_IF_ERROR(context.AddTable(is_mac ? MacTable(costs, rows) : FlopTable(costs, rows)));
    auto& fields = *context.result().mutable_fields();
    fields["convention"].set_string_value(Options::Convention_Name(options_.convention()));
    fields["rows"].set_number_value(static_cast<double>(rows));
    auto& total = *fields["total"].mutable_struct_value()->mutable_fields();
    const auto add = [&](const char* name, int64_t NodeCost::*member) {
      int64_t sum = 0;
      for (const NodeCost& cost : costs) sum += cost.*member;
      total[name].set_number_value(static_cast<double>(sum));
      return absl::StrCat(name, " ", sum);
    };
    std::string text = absl::StrCat("Total of a batch of ", rows, ": ");
    if (is_mac) {
      absl::StrAppend(&text, add("parameters", &NodeCost::weights), ", ");
      absl::StrAppend(&text, add("forward", &NodeCost::forward), ", ");
      absl::StrAppend(&text, add("backward", &NodeCost::backward));
    } else {
      absl::StrAppend(&text, add("parameters", &NodeCost::parameters), ", ");
      absl::StrAppend(&text, add("flops", &NodeCost::flops));
    }
    context.Print(text);
    return PassResult::Unchanged();
  }

 private:
  // Whose the op's rule is; empty for what is free.
  static std::string Rule(const NodeCost& cost, CostConvention convention) {
    const CostRule& rule = cost.node->schema().cost;
    if (rule.count == nullptr) return "";
    return rule.Publishes(convention) ? "published" : "ours";
  }

  static Table MacTable(const std::vector<NodeCost>& costs, int64_t rows) {
    Table table("costs", absl::StrCat("Arithmetic of a batch of ", rows, ", MAC convention"),
                {{"node"}, {"op"}, {"parameters"}, {"forward"}, {"backward"}, {"rule"}});
    for (const NodeCost& cost : costs) {
      table.AddRow({cost.node->name(), std::string(cost.node->mase_op()), cost.weights,
                    cost.forward, cost.backward, Rule(cost, CostConvention::kMac)});
    }
    return table;
  }

  static Table FlopTable(const std::vector<NodeCost>& costs, int64_t rows) {
    Table table("costs", absl::StrCat("Arithmetic of a batch of ", rows, ", FLOP convention"),
                {{"node"}, {"op"}, {"parameters"}, {"flops"}, {"rule"}});
    for (const NodeCost& cost : costs) {
      table.AddRow({cost.node->name(), std::string(cost.node->mase_op()), cost.parameters,
                    cost.flops, Rule(cost, CostConvention::kFlop)});
    }
    return table;
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<CalculateFlopsPass>(
      "calculate_flops", "Counts the arithmetic of every node and of the net.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::calculate_flops

MASE_DEFINE_PLUGIN("calculate_flops", "1.0.0", mase::plugins::calculate_flops::Register)
