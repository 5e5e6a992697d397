// Pass plugin `calculate_avg_bits`: how many bits a value of a layer's input and weight has.
//
// Linear layers and convolutions alone, as in MASE, biases left out; float values have 32 bits.
// Averages are over elements: data_avg_bit of the inputs, w_avg_bit of the weights, in result.
// Table "bits". Cost: O(nodes + uses).
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/cost.h"
#include "plugins/calculate_avg_bits/calculate_avg_bits_options.pb.h"

namespace mase::plugins::calculate_avg_bits {
namespace {

// Bits of many values.
struct Average {
  double bits = 0;
  int64_t elements = 0;

  void Add(double bits_per_value, int64_t count) {
    bits += bits_per_value * static_cast<double>(count);
    elements += count;
  }
  double value() const { return elements == 0 ? 0 : bits / static_cast<double>(elements); }
};

class CalculateAvgBitsPass final : public Pass {
 public:
  using Options = CalculateAvgBitsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    return std::make_unique<CalculateAvgBitsPass>(options);
  }

  explicit CalculateAvgBitsPass(Options options) : options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, BatchOf(graph)));
    const BitCount count =
        options_.semantics() == Options::EXACT ? BitCount::kStored : BitCount::kReference;
    Table table("bits", "Bits of a value of layers",
                {{"node"},
                 {"op"},
                 {"data_in", "bits"},
                 {.name = "data_in elements", .rank = 1},
                 {"weight", "bits"},
                 {.name = "weight elements", .rank = 1}});
    Average data, weights;
    for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
      if (!node->Is(OpTrait::kWeighted)) continue;
      const ValueInfo& input = shapes.info(node->inputs()[0]);
      const Tensor& weight = graph.FindTensor(*node->FindParameter(operands::kWeight))->value;
      MASE_ASSIGN_OR_RETURN(
          const double data_bits,
          OperandBits(*node, operands::kDataIn, input.dtype, input.shape, shapes, count));
      MASE_ASSIGN_OR_RETURN(
          const double weight_bits,
          OperandBits(*node, operands::kWeight, weight.dtype(), weight.shape(), shapes, count));
      table.AddRow({node->name(), std::string(node->mase_op()), data_bits, input.shape.elements(),
                    weight_bits, weight.elements()});
      data.Add(data_bits, input.shape.elements());
      weights.Add(weight_bits, weight.elements());
    }
    if (weights.elements == 0) context.Warn("the net has no linear layer and no convolution");
    MASE_RETURN_IF_ERROR(context.AddTable(table));
    auto& fields = *context.result().mutable_fields();
    fields["semantics"].set_string_value(Options::Semantics_Name(options_.semantics()));
    fields["data_avg_bit"].set_number_value(data.value());
    fields["w_avg_bit"].set_number_value(weights.value());
    context.Print(absl::StrFormat("Average bits: data_avg_bit %.6g, w_avg_bit %.6g", data.value(),
                                  weights.value()));
    return PassResult::Unchanged();
  }

 private:
  const Options options_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<CalculateAvgBitsPass>("calculate_avg_bits",
                                                 "Averages the bits of layers' inputs and weights.",
                                                 {.kind = PassKind::kAnalysis});
}

}  // namespace
}  // namespace mase::plugins::calculate_avg_bits

MASE_DEFINE_PLUGIN("calculate_avg_bits", "1.0.0", mase::plugins::calculate_avg_bits::Register)
