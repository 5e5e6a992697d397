#include "mase/exec/operand_state.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/learned_width.h"
#include "mase/format/lsq.h"
#include "mase/quantize/operands.h"

namespace mase {

bool HasOperandState(const FormatProto& format) {
  return HasLearnedStep(format) || HasLearnedWidth(format);
}

std::string OperandStateSlot(const Node& node, absl::string_view operand,
                             const FormatProto& format) {
  return absl::StrCat(node.name(), ".", operand,
                      HasLearnedWidth(format) ? "_frac_width" : "_scale");
}

float StateOf(const FormatProto& format) {
  if (HasLearnedWidth(format)) return TrainedFracWidth(format);
  return format.lsq().has_scale() ? format.lsq().scale() : 1.0f;
}

absl::Status SetState(float state, FormatProto& format) {
  if (HasLearnedWidth(format)) return SetTrainedFracWidth(state, format);
  format.mutable_lsq()->set_scale(state);
  return absl::OkStatus();
}

float StateGradient(const FormatProto& format, absl::Span<const float> src,
                    absl::Span<const float> diff_dst) {
  return HasLearnedWidth(format) ? FracWidthGradient(format, src, diff_dst)
                                 : LsqScaleGradient(format, src, diff_dst);
}

absl::StatusOr<float> OperandState::Read(const Graph& graph) const {
  const Node* found = graph.FindNode(node);
  const FormatProto* format = found == nullptr ? nullptr : FindFormat(*found, operand);
  if (format == nullptr || !HasOperandState(*format)) {
    return absl::NotFoundError(absl::StrCat("the graph has no learned number '", slot, "'"));
  }
  return StateOf(*format);
}

absl::Status OperandState::Write(float value, Graph& graph) const {
  MASE_RETURN_IF_ERROR(Read(graph).status());
  Node* found = graph.FindNode(node);
  Quantization record = *found->quantization();
  for (OperandFormat& format : *record.mutable_operand()) {
    if (format.operand() != operand) continue;
    MASE_RETURN_IF_ERROR(SetState(value, *format.mutable_format()));
  }
  graph.SetQuantization(found, std::move(record));
  return absl::OkStatus();
}

std::vector<OperandState> OperandStatesOf(const Graph& graph) {
  std::vector<OperandState> states;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (node->quantization() == nullptr) continue;
    for (const OperandFormat& operand : node->quantization()->operand()) {
      if (!HasOperandState(operand.format())) continue;
      states.push_back({OperandStateSlot(*node, operand.operand(), operand.format()), node->name(),
                        operand.operand()});
    }
  }
  return states;
}

}  // namespace mase
