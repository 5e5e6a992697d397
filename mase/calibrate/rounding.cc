#include "mase/calibrate/rounding.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/exec/run_net.h"
#include "mase/format/format.h"
#include "mase/graph/shape_inference.h"

namespace mase {
namespace {

using Source = Operand::Source;

double Share(int64_t count, size_t all) {
  return all == 0 ? 0 : static_cast<double>(count) / static_cast<double>(all);
}

CodeKind KindOfCodes(const Format& format) {
  const FormatProto& proto = format.proto();
  const bool integers = proto.has_integer() || proto.has_scale_integer() || proto.has_affine() ||
                        proto.has_logicnets() || proto.has_mxint() || proto.has_mxint_hardware();
  if (!integers) return CodeKind::kBits;
  // A zero point moves the range of the values, not that of the codes.
  const bool is_signed = proto.has_affine() ? proto.affine().is_signed() : format.lowest() < 0;
  return is_signed ? CodeKind::kTwosComplement : CodeKind::kUnsigned;
}

// Fills in what codes say of `quantized`, which is what `format` made of `values`.
absl::Status CompareWithCodes(const Format& format, const Tensor& values, const Tensor& quantized,
                              Rounding* rounding) {
  if (rounding->code_bits == 0) return absl::OkStatus();
  const absl::StatusOr<EncodedTensor> encoded = format.Encode(values);
  if (absl::IsUnimplemented(encoded.status())) return absl::OkStatus();
  rounding->on_grid = encoded.ok();
  if (!encoded.ok()) {
    rounding->off_grid = std::string(encoded.status().message());
    return absl::OkStatus();
  }
  MASE_ASSIGN_OR_RETURN(const Tensor decoded, format.Decode(*encoded));
  const auto wanted = decoded.data<float>(), got = quantized.data<float>();
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == got[i]) continue;
    rounding->on_grid = false;
    rounding->off_grid =
        absl::StrCat("element ", i, " became ", got[i], ", its code stands for ", wanted[i]);
    break;
  }
  for (size_t i = 0; i < rounding->first.size(); ++i) rounding->first[i].code = encoded->codes[i];
  return absl::OkStatus();
}

// The net with its formats on the samples, with the results of nodes to ask for.
absl::StatusOr<std::unique_ptr<Executor>> Run(const Graph& graph,
                                              const std::map<std::string, Tensor>& samples,
                                              std::vector<std::string> taps) {
  MASE_ASSIGN_OR_RETURN(auto executor, Executor::Create(graph, {.taps = std::move(taps)}));
  MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples));
  MASE_RETURN_IF_ERROR(RunNet(*executor, inputs, RowBatches::Equal(inputs[0].shape()[0], 1),
                              [](int64_t, int64_t) { return absl::OkStatus(); }));
  return executor;
}

// The net, but what the node makes is not rounded.
absl::StatusOr<std::unique_ptr<Executor>> RunWithoutResultOf(
    const Node& node, const Graph& graph, const std::map<std::string, Tensor>& samples) {
  Graph copy = graph.Clone();
  Quantization record = *node.quantization();
  record.clear_operand();
  for (const OperandFormat& operand : node.quantization()->operand()) {
    if (operand.operand() != operands::kDataOut) *record.add_operand() = operand;
  }
  copy.SetQuantization(copy.FindNode(node.name()), std::move(record));
  return Run(copy, samples, {node.name()});
}

}  // namespace

absl::StatusOr<Rounding> MeasureRounding(const OperandView& view, absl::Span<const float> values,
                                         int show) {
  const Format* const format = view.format.get();
  const Tensor original = Tensor::FromValues<float>(view.shape, values);
  MASE_ASSIGN_OR_RETURN(const Tensor quantized, format->Quantize(original));
  const absl::Span<const float> rounded = quantized.data<float>();
  Rounding rounding;
  rounding.values = static_cast<int64_t>(values.size());
  rounding.error = MeasureQuantizationError(values, rounded);
  rounding.code_bits = format->code_bits();
  rounding.code_kind = KindOfCodes(*format);
  std::vector<uint8_t> saturated(values.size());
  const absl::Status found = format->FindSaturated(values.data(), saturated.data(), view.shape);
  if (found.ok()) {
    rounding.saturated = Share(std::count(saturated.begin(), saturated.end(), 1), values.size());
  } else if (!absl::IsUnimplemented(found)) {
    return found;
  }
  rounding.zero = Share(std::count(rounded.begin(), rounded.end(), 0.0f), values.size());
  for (size_t i = 0; i < values.size(); ++i) rounding.unchanged += values[i] == rounded[i];
  std::vector<float> sorted;
  for (const float x : rounded) {
    if (x == x) sorted.push_back(x);
  }
  std::sort(sorted.begin(), sorted.end());
  rounding.distinct = std::unique(sorted.begin(), sorted.end()) - sorted.begin();
  const size_t shown = std::min(values.size(), static_cast<size_t>(std::max(show, 0)));
  for (size_t i = 0; i < shown; ++i) rounding.first.push_back({values[i], rounded[i], {}});
  MASE_RETURN_IF_ERROR(CompareWithCodes(*format, original, quantized, &rounding));
  return rounding;
}

absl::StatusOr<std::vector<OperandRounding>> MeasureRounding(
    const Graph& graph, const std::map<std::string, Tensor>& samples, int show) {
  const int64_t rows = samples.empty() ? -1 : samples.begin()->second.shape()[0];
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, rows));
  std::vector<std::string> taps;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Operand& operand : OperandsOf(*node)) {
      if (operand.format == nullptr || operand.source != Source::kInput) continue;
      taps.push_back(node->inputs()[operand.index]->producer()->name());
    }
  }
  std::unique_ptr<Executor> executor;
  if (!samples.empty()) {
    MASE_ASSIGN_OR_RETURN(executor, Run(graph, samples, std::move(taps)));
  }
  std::vector<OperandRounding> all;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Operand& operand : OperandsOf(*node)) {
      if (operand.format == nullptr) continue;
      const bool is_stored = operand.source == Source::kTensor;
      if (!is_stored && executor == nullptr) continue;
      OperandRounding result{.node = node->name(),
                             .op = std::string(node->op()),
                             .tensor = EntryName(*node, operand),
                             .is_stored = is_stored,
                             .format = *operand.format};
      std::unique_ptr<Executor> own;  // Whose values these are, where not `executor`.
      absl::Span<const float> values;
      Shape shape;
      if (is_stored) {
        const Tensor& tensor = graph.FindTensor(node->parameters()[operand.index].tensor)->value;
        if (tensor.dtype() != DType::kFloat32) continue;
        values = tensor.data<float>();
        shape = tensor.shape();
      } else if (operand.source == Source::kInput) {
        const Value* input = node->inputs()[operand.index];
        if (input->index() != 0 || shapes.info(input).dtype != DType::kFloat32) continue;
        MASE_ASSIGN_OR_RETURN(values, executor->NodeValue(input->producer()->name()));
        shape = shapes.shape(input);
      } else {
        if (operand.index != 0) continue;
        MASE_ASSIGN_OR_RETURN(own, RunWithoutResultOf(*node, graph, samples));
        MASE_ASSIGN_OR_RETURN(values, own->NodeValue(node->name()));
        shape = shapes.shape(node->outputs()[0]);
      }
      MASE_ASSIGN_OR_RETURN(const OperandView view,
                            ViewOperand(*node, operand.role, *operand.format, shape, shapes));
      auto rounding = MeasureRounding(view, values, show);
      if (!rounding.ok()) {
        return Annotate(rounding.status(), absl::StrCat(result.node, ": ", result.tensor));
      }
      result.rounding = *std::move(rounding);
      all.push_back(std::move(result));
    }
  }
  return all;
}

}  // namespace mase
