#include "mase/train/width_penalty.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/exec/operand_state.h"
#include "mase/format/format.h"
#include "mase/format/own_grids.h"
#include "mase/graph/ops.h"
#include "mase/graph/shape_inference.h"
#include "mase/quantize/cost.h"
#include "mase/quantize/operands.h"

namespace mase {

absl::StatusOr<WidthPenalty> WidthPenalty::Create(const Graph& graph,
                                                  absl::Span<const TensorSlot> slots,
                                                  double weight) {
  absl::flat_hash_map<std::string, const TensorSlot*> by_name;
  for (const TensorSlot& slot : slots) by_name[slot.name] = &slot;
  WidthPenalty penalty;
  penalty.weight_ = weight;
  absl::flat_hash_map<std::string, Widths> learned;
  for (const OperandState& state : OperandStatesOf(graph)) {
    const FormatProto& format = *FindFormat(*graph.FindNode(state.node), state.operand);
    const bool own_grids = HasOwnGrids(format);
    if (!own_grids && !HasLearnedWidth(format)) continue;
    const FracWidthRange range = own_grids ? OwnGridRange(format) : FracWidthRangeOf(format);
    const TensorSlot& slot = *by_name.at(state.slot);
    penalty.learned_.push_back(
        {0, slot.offset, slot.shape.elements(), range.lowest, range.highest});
    learned[state.slot] = penalty.learned_.back();
  }
  if (weight == 0) return penalty;
  const auto operand_of = [&](const Node& node, absl::string_view role) -> std::optional<Operand> {
    const FormatProto* format = FindFormat(node, role);
    if (format == nullptr || !format->has_integer()) return std::nullopt;
    const IntegerFormat integer = WithDefaults(*format).integer();
    Operand operand;
    operand.in_front = integer.width() - integer.frac_width() - (integer.is_signed() ? 1 : 0);
    operand.behind.fixed = integer.frac_width();
    const auto widths = learned.find(OperandStateSlot(node, role, *format));
    if (widths != learned.end()) operand.behind = widths->second;
    if (const Parameter* parameter = FindParameter(node, role)) {
      const auto slot = by_name.find(parameter->tensor);
      if (slot == by_name.end()) return std::nullopt;
      operand.values = slot->second->offset;
      operand.size = slot->second->shape.elements();
    }
    return operand;
  };
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, /*batch=*/1));
  MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs, CostsOf(graph, shapes));
  for (const NodeCost& cost : costs) {
    const std::optional<Operand> input = operand_of(*cost.node, operands::kDataIn);
    const std::optional<Operand> weights = operand_of(*cost.node, operands::kWeight);
    if (cost.macs == 0 || !input.has_value() || !weights.has_value()) continue;
    if (input->behind.offset < 0 && weights->behind.offset < 0) continue;
    const int64_t uses = cost.macs / std::max<int64_t>(1, weights->size);
    penalty.layers_.push_back({static_cast<double>(uses), *input, *weights});
  }
  if (!penalty.layers_.empty()) return penalty;
  return absl::InvalidArgumentError(absl::StrCat(
      "ebops_weight=", weight,
      ": no layer has an integer input and weight of which one has a learned_width; give them in "
      "passes.quantize (weight_learned_width = \"weight\"), or leave ebops_weight out"));
}

template <typename T>
double WidthPenalty::Widths::At(int64_t i, absl::Span<const T> parameters) const {
  if (offset < 0) return fixed;
  return std::clamp(static_cast<double>(parameters[offset + i]), lowest, highest);
}

template <typename T, typename Visit>
double WidthPenalty::Bits(const Operand& operand, absl::Span<const T> parameters,
                          const Visit& visit) {
  if (operand.values < 0) {
    const double bits = operand.in_front + operand.behind.At(0, parameters);
    visit(0, bits);
    return bits;
  }
  const int64_t shared = operand.size / operand.behind.count;
  double sum = 0;
  for (int64_t i = 0; i < operand.size; ++i) {
    const double highest =
        1 + std::log2(std::abs(static_cast<double>(parameters[operand.values + i])));
    const double behind = operand.behind.At(i / shared, parameters);
    const double bits = std::max(0.0, std::min(highest, operand.in_front) + behind);
    visit(i / shared, bits);
    sum += bits;
  }
  return sum;
}

template <typename T>
double WidthPenalty::Bits(const Operand& operand, absl::Span<const T> parameters) {
  return Bits(operand, parameters, [](int64_t, double) {});
}

template <typename T>
double WidthPenalty::Value(absl::Span<const T> parameters) const {
  double sum = 0;
  for (const Layer& layer : layers_) {
    sum += layer.products * Bits(layer.input, parameters) * Bits(layer.weight, parameters);
  }
  return weight_ * sum;
}

template <typename T>
void WidthPenalty::AddGradient(absl::Span<const T> parameters, absl::Span<T> gradients) const {
  const auto add = [&](const Operand& operand, double gradient) {
    const Widths& widths = operand.behind;
    if (widths.offset < 0) return;
    Bits(operand, parameters, [&](int64_t i, double bits) {
      const int64_t place = widths.offset + i;
      if (bits == 0 || !(static_cast<double>(parameters[place]) > widths.lowest)) return;
      gradients[place] += static_cast<T>(weight_ * gradient);
    });
  };
  for (const Layer& layer : layers_) {
    add(layer.input, layer.products * Bits(layer.weight, parameters));
    add(layer.weight, layer.products * Bits(layer.input, parameters));
  }
}

template <typename T>
void WidthPenalty::Clamp(absl::Span<T> parameters) const {
  for (const Widths& widths : learned_) {
    for (int64_t i = 0; i < widths.count; ++i) {
      T& width = parameters[widths.offset + i];
      width = std::clamp(width, static_cast<T>(widths.lowest), static_cast<T>(widths.highest));
    }
  }
}

template double WidthPenalty::Value<float>(absl::Span<const float>) const;
template double WidthPenalty::Value<double>(absl::Span<const double>) const;
template void WidthPenalty::AddGradient<float>(absl::Span<const float>, absl::Span<float>) const;
template void WidthPenalty::AddGradient<double>(absl::Span<const double>, absl::Span<double>) const;

template void WidthPenalty::Clamp<float>(absl::Span<float>) const;
template void WidthPenalty::Clamp<double>(absl::Span<double>) const;

}  // namespace mase
