// Pass plugin `calculate_bitops`: operations on bits of every node, and of the net.
//
// For the rows of a batch; quantized operands count by their own widths, others as 32 bits. Table
// "costs"; result.total has forward_bitops and backward_bitops (MAC) or bits (FLOP), and ebops
// where every layer is one of integers. Cost: O(nodes + uses), and a pass over integer weights.
#include <cstdint>
#include <memory>
#include <optional>
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
#include "plugins/calculate_bitops/calculate_bitops_options.pb.h"

namespace mase::plugins::calculate_bitops {
namespace {

// A cell for a number that some nodes do not have.
Cell Optional(const std::optional<int64_t>& number) {
  return number.has_value() ? Cell(*number) : Cell();
}

class CalculateBitopsPass final : public Pass {
 public:
  using Options = CalculateBitopsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<CalculateBitopsPass>(options);
  }

  explicit CalculateBitopsPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    const int64_t rows = BatchOf(graph);
    const bool is_mac = options_.convention() == Options::MAC;
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
    MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs,
                          CostsOf(graph, shapes,
                                  options_.semantics() == Options::EXACT ? FormatProto::EXACT
                                                                         : FormatProto::REFERENCE));
    MASE_RETURN_IF_ERROR(
        context.AddTable(is_mac ? OperationsTable(costs, rows) : StorageTable(costs, rows)));
    Totals(costs, rows, is_mac, context);
    return PassResult::Unchanged();
  }

 private:
  static Table OperationsTable(const std::vector<NodeCost>& costs, int64_t rows) {
    Table table("costs", absl::StrCat("Bit operations of a batch of ", rows),
                {{"node"}, {"op"}, {"forward_bitops"}, {"backward_bitops"}, {"ebops"}});
    for (const NodeCost& cost : costs) {
      table.AddRow({cost.node->name(), std::string(cost.node->mase_op()), cost.forward_bitops,
                    cost.backward_bitops, Optional(cost.ebops)});
    }
    return table;
  }

  static Table StorageTable(const std::vector<NodeCost>& costs, int64_t rows) {
    Table table("costs", absl::StrCat("Bits of inputs and weights of layers, batch of ", rows),
                {{"node"}, {"op"}, {"bits"}});
    for (const NodeCost& cost : costs) {
      table.AddRow({cost.node->name(), std::string(cost.node->mase_op()), cost.bits});
    }
    return table;
  }

  void Totals(const std::vector<NodeCost>& costs, int64_t rows, bool is_mac,
              PassContext& context) const {
    NodeCost total;
    int sums = 0, integers = 0;  // Nodes that sum products, and those of integers among them.
    int64_t ebops = 0;
    for (const NodeCost& cost : costs) {
      total.forward_bitops += cost.forward_bitops;
      total.backward_bitops += cost.backward_bitops;
      total.bits += cost.bits;
      sums += cost.macs > 0;
      integers += cost.ebops.has_value();
      ebops += cost.ebops.value_or(0);
    }
    auto& fields = *context.result().mutable_fields();
    fields["convention"].set_string_value(Options::Convention_Name(options_.convention()));
    fields["semantics"].set_string_value(Options::Semantics_Name(options_.semantics()));
    fields["rows"].set_number_value(static_cast<double>(rows));
    auto& figures = *fields["total"].mutable_struct_value()->mutable_fields();
    std::string text = absl::StrCat("Total of a batch of ", rows, ":");
    const auto add = [&](const char* name, int64_t number) {
      figures[name].set_number_value(static_cast<double>(number));
      absl::StrAppend(&text, figures.size() > 1 ? ", " : " ", name, " ", number);
    };
    if (!is_mac) {
      add("bits", total.bits);
    } else {
      add("forward_bitops", total.forward_bitops);
      add("backward_bitops", total.backward_bitops);
      if (sums > 0 && integers == sums) add("ebops", ebops);
    }
    context.Print(text);
  }

  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<CalculateBitopsPass>(
      "calculate_bitops", "Counts operations on bits, by the widths of quantized operands.",
      {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::calculate_bitops

MASE_DEFINE_PLUGIN("calculate_bitops", "1.0.0", mase::plugins::calculate_bitops::Register)
