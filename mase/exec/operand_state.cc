#include "mase/exec/operand_state.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/format/learned_width.h"
#include "mase/format/lsq.h"
#include "mase/format/own_grids.h"
#include "mase/quantize/operands.h"

namespace mase {

bool HasOperandState(const FormatProto& format) {
  return HasLearnedStep(format) || HasLearnedWidth(format) || HasOwnGrids(format);
}

std::string OperandStateSlot(const Node& node, absl::string_view operand,
                             const FormatProto& format) {
  return absl::StrCat(node.name(), ".", operand, HasLearnedStep(format) ? "_scale" : "_frac_width");
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

namespace {

absl::StatusOr<const FormatProto*> FormatWithState(const OperandState& state, const Graph& graph) {
  const Node* found = graph.FindNode(state.node);
  const FormatProto* format = found == nullptr ? nullptr : FindFormat(*found, state.operand);
  if (format != nullptr && HasOperandState(*format)) return format;
  return absl::NotFoundError(absl::StrCat("the graph has no learned number '", state.slot, "'"));
}

}  // namespace

absl::Status OperandState::Read(const Graph& graph, absl::Span<float> values) const {
  MASE_ASSIGN_OR_RETURN(const FormatProto* format, FormatWithState(*this, graph));
  const float value = HasOwnGrids(*format)
                          ? static_cast<float>(WithDefaults(*format).integer().frac_width())
                          : StateOf(*format);
  absl::c_fill(values, value);
  return absl::OkStatus();
}

absl::Status OperandState::Write(absl::Span<const float> values, Graph& graph) const {
  MASE_ASSIGN_OR_RETURN(const FormatProto* before, FormatWithState(*this, graph));
  FormatProto format = *before;
  if (HasOwnGrids(format)) {
    const absl::Span<float> weights = graph.MutableTensor(tensor)->mutable_data<float>();
    MASE_RETURN_IF_ERROR(
        Annotate(RoundToOwnGrids(format, values, weights, weights), absl::StrCat("'", slot, "'")));
    SetCoveringGrid(weights, format);
  } else {
    MASE_RETURN_IF_ERROR(SetState(values[0], format));
  }
  Node* found = graph.FindNode(node);
  Quantization record = *found->quantization();
  for (OperandFormat& kept : *record.mutable_operand()) {
    if (kept.operand() == operand) *kept.mutable_format() = format;
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
      OperandState state = {OperandStateSlot(*node, operand.operand(), operand.format()),
                            node->name(), operand.operand()};
      const Parameter* parameter =
          HasOwnGrids(operand.format()) ? FindParameter(*node, operand.operand()) : nullptr;
      if (parameter != nullptr) {
        state.tensor = parameter->tensor;
        state.shape =
            OwnGridsShape(operand.format(), graph.FindTensor(state.tensor)->value.shape());
      }
      states.push_back(std::move(state));
    }
  }
  return states;
}

absl::Status CheckOperandStates(const Graph& graph) {
  const std::vector<OperandState> states = OperandStatesOf(graph);
  absl::flat_hash_map<absl::string_view, const OperandState*> rounded;  // By tensor.
  for (const OperandState& state : states) {
    const std::string where = absl::StrCat(state.node, ": ", state.operand, ": ");
    if (graph.FindTensor(state.slot) != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "its learned number is called '", state.slot,
                       "', and so is a tensor of the graph; give the tensor another name"));
    }
    const FormatProto& format = *FindFormat(*graph.FindNode(state.node), state.operand);
    if (!HasOwnGrids(format)) continue;
    MASE_RETURN_IF_ERROR(
        Annotate(CheckOwnGrids(*graph.FindNode(state.node), state.operand, format), state.node));
    if (const DType dtype = graph.FindTensor(state.tensor)->value.dtype();
        dtype != DType::kFloat32) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, "'", state.tensor, "' is ", DTypeName(dtype), "; own grids are for float32"));
    }
    rounded.emplace(state.tensor, &state);
  }
  if (rounded.empty()) return absl::OkStatus();
  absl::flat_hash_map<absl::string_view, const Node*> readers;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Parameter& parameter : node->parameters()) {
      const auto [reader, is_new] = readers.try_emplace(parameter.tensor, node);
      const auto state = rounded.find(parameter.tensor);
      if (is_new || state == rounded.end()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(state->second->node, ": ", state->second->operand, ": ",
                       reader->second->name(), " and ", node->name(), " share '", parameter.tensor,
                       "', so it can have no learned widths of its own channels or weights; take "
                       "learned_width = \"tensor\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
