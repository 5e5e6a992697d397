#include "mase/train/width_penalty.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/exec/operand_state.h"
#include "mase/format/format.h"
#include "mase/format/learned_width.h"
#include "mase/graph/ops.h"
#include "mase/graph/shape_inference.h"
#include "mase/quantize/cost.h"
#include "mase/quantize/operands.h"

namespace mase {

absl::StatusOr<WidthPenalty> WidthPenalty::Create(const Graph& graph,
                                                  absl::Span<const TensorSlot> slots,
                                                  double weight) {
  WidthPenalty penalty;
  penalty.weight_ = weight;
  for (const OperandState& state : OperandStatesOf(graph)) {
    const FormatProto& format = *FindFormat(*graph.FindNode(state.node), state.operand);
    if (!HasLearnedWidth(format)) continue;
    const FracWidthRange range = FracWidthRangeOf(format);
    for (const TensorSlot& slot : slots) {
      if (slot.name != state.slot) continue;
      penalty.ranges_.push_back({slot.offset, range.lowest, range.highest});
    }
  }
  if (weight == 0) return penalty;
  const auto bits_of = [&](const Node& node, absl::string_view operand) -> std::optional<Bits> {
    const FormatProto* format = FindFormat(node, operand);
    if (format == nullptr || !format->has_integer()) return std::nullopt;
    const IntegerFormat integer = WithDefaults(*format).integer();
    const int sign = integer.is_signed() ? 1 : 0;
    if (!HasLearnedWidth(*format)) return Bits{static_cast<double>(integer.width() - sign)};
    const std::string name = OperandStateSlot(node, operand, *format);
    const auto slot =
        absl::c_find_if(slots, [&name](const TensorSlot& known) { return known.name == name; });
    if (slot == slots.end()) return std::nullopt;
    const FracWidthRange range = FracWidthRangeOf(*format);
    return Bits{static_cast<double>(integer.width() - integer.frac_width() - sign), slot->offset,
                range.lowest, range.highest};
  };
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, /*batch=*/1));
  MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs, CostsOf(graph, shapes));
  for (const NodeCost& cost : costs) {
    const std::optional<Bits> input = bits_of(*cost.node, operands::kDataIn);
    const std::optional<Bits> weights = bits_of(*cost.node, operands::kWeight);
    if (cost.macs == 0 || !input.has_value() || !weights.has_value()) continue;
    if (input->offset < 0 && weights->offset < 0) continue;
    penalty.layers_.push_back({static_cast<double>(cost.macs), *input, *weights});
  }
  if (!penalty.layers_.empty()) return penalty;
  return absl::InvalidArgumentError(absl::StrCat(
      "ebops_weight=", weight,
      ": no layer has an integer input and weight of which one has learned_width; give them in "
      "passes.quantize (data_in_learned_width = true), or leave ebops_weight out"));
}

template <typename T>
double WidthPenalty::BitsOf(const Bits& bits, absl::Span<const T> parameters) {
  if (bits.offset < 0) return bits.fixed;
  return bits.fixed +
         std::clamp(static_cast<double>(parameters[bits.offset]), bits.lowest, bits.highest);
}

template <typename T>
double WidthPenalty::Value(absl::Span<const T> parameters) const {
  double sum = 0;
  for (const Layer& layer : layers_) {
    sum += layer.macs * BitsOf(layer.input, parameters) * BitsOf(layer.weight, parameters);
  }
  return weight_ * sum;
}

template <typename T>
void WidthPenalty::AddGradient(absl::Span<const T> parameters, absl::Span<T> gradients) const {
  const auto add = [&](const Bits& bits, double gradient) {
    if (bits.offset < 0 || !(static_cast<double>(parameters[bits.offset]) > bits.lowest)) return;
    gradients[bits.offset] += static_cast<T>(weight_ * gradient);
  };
  for (const Layer& layer : layers_) {
    add(layer.input, layer.macs * BitsOf(layer.weight, parameters));
    add(layer.weight, layer.macs * BitsOf(layer.input, parameters));
  }
}

template <typename T>
void WidthPenalty::Clamp(absl::Span<T> parameters) const {
  for (const Range& range : ranges_) {
    T& width = parameters[range.offset];
    width = std::clamp(width, static_cast<T>(range.lowest), static_cast<T>(range.highest));
  }
}

template double WidthPenalty::Value<float>(absl::Span<const float>) const;
template double WidthPenalty::Value<double>(absl::Span<const double>) const;
template void WidthPenalty::AddGradient<float>(absl::Span<const float>, absl::Span<float>) const;
template void WidthPenalty::AddGradient<double>(absl::Span<const double>, absl::Span<double>) const;

template void WidthPenalty::Clamp<float>(absl::Span<float>) const;
template void WidthPenalty::Clamp<double>(absl::Span<double>) const;

}  // namespace mase
