#include "plugins/compare_formats/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/exec/run_net.h"
#include "mase/format/format.h"
#include "mase/format/metrics.h"
#include "mase/quantize/operands.h"
#include "mase/quantize/rule.h"
#include "plugins/compare_formats/named_formats.h"

namespace mase::plugins::compare_formats {
namespace {

// Runs the net on all samples at once; the values of `taps` can be read afterwards.
absl::StatusOr<std::unique_ptr<Executor>> RunOnce(const Graph& graph,
                                                  const std::map<std::string, Tensor>& samples,
                                                  std::vector<std::string> taps) {
  MASE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, InputsFor(graph, samples));
  const int64_t rows = inputs.empty() ? 0 : inputs[0].shape()[0];
  if (rows == 0) return absl::InvalidArgumentError("there are no samples");
  MASE_ASSIGN_OR_RETURN(auto executor, Executor::Create(graph, {.taps = std::move(taps)}));
  MASE_RETURN_IF_ERROR(RunNet(*executor, inputs, RowBatches::Equal(rows, 1),
                              [](int64_t, int64_t) { return absl::OkStatus(); }));
  return executor;
}

// The node whose result an activation is.
const Node& SourceOf(const Node& node, const Operand& operand) {
  return operand.source == Operand::Source::kInput ? *node.inputs()[operand.index]->producer()
                                                   : node;
}

// So far that finite `values` and 0 are inside.
void Widen(absl::Span<const float> values, Range* range) {
  for (const float x : values) {
    if (!std::isfinite(x)) continue;
    range->lo = std::min<double>(range->lo, x);
    range->hi = std::max<double>(range->hi, x);
  }
}

// Bits of values, added up.
struct BitCount {
  double bits = 0, values = 0;

  void Add(double bits_per_value, const Shape& shape) {
    bits += bits_per_value * static_cast<double>(shape.elements());
    values += static_cast<double>(shape.elements());
  }
  double mean() const { return values > 0 ? bits / values : 32; }
};

}  // namespace

absl::StatusOr<NetMeasurer> NetMeasurer::Create(const Graph& graph,
                                                absl::Span<const std::string> ops,
                                                std::map<std::string, Tensor> inputs) {
  NetMeasurer measurer;
  measurer.graph_ = graph.Clone();
  measurer.inputs_ = std::move(inputs);
  for (Node* node : measurer.graph_.NodesInOrder()) {
    if (node->kind() == NodeKind::kPlaceholder || !absl::c_linear_search(ops, node->op())) continue;
    if (node->quantization() != nullptr) measurer.graph_.ClearQuantization(node);
    measurer.nodes_.push_back(node);
  }
  if (measurer.nodes_.empty()) {
    return absl::NotFoundError(
        absl::StrCat("the net has no node of the ops ", absl::StrJoin(ops, ", ")));
  }
  MASE_ASSIGN_OR_RETURN(measurer.shapes_, InferShapesFor(measurer.graph_));
  MASE_RETURN_IF_ERROR(measurer.FindRanges());
  MASE_ASSIGN_OR_RETURN(measurer.outputs_, measurer.Outputs(measurer.graph_));
  return measurer;
}

absl::Status NetMeasurer::FindRanges() {
  std::vector<std::string> taps;
  for (const Node* node : nodes_) {
    for (const Operand& operand : OperandsOf(*node)) {
      if (operand.source != Operand::Source::kTensor) {
        taps.emplace_back(SourceOf(*node, operand).name());
      }
    }
  }
  MASE_ASSIGN_OR_RETURN(const auto executor, RunOnce(graph_, inputs_, std::move(taps)));
  for (const Node* node : nodes_) {
    for (const Operand& operand : OperandsOf(*node)) {
      Range* range = &ranges_[{node->name(), std::string(operand.role)}];
      if (operand.source == Operand::Source::kTensor) {
        const std::string& name = node->parameters()[operand.index].tensor;
        Widen(graph_.FindTensor(name)->value.data<float>(), range);
        continue;
      }
      MASE_ASSIGN_OR_RETURN(const absl::Span<const float> values,
                            executor->NodeValue(SourceOf(*node, operand).name()));
      Widen(values, range);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> NetMeasurer::Outputs(const Graph& graph) const {
  MASE_ASSIGN_OR_RETURN(const auto executor, RunOnce(graph, inputs_, {}));
  return std::vector<float>(executor->output().begin(), executor->output().end());
}

absl::StatusOr<Measurement> NetMeasurer::MeasureFloat(PassContext& context) const {
  Measurement measurement = {
      .sqnr_db = std::numeric_limits<double>::infinity(), .weight_bits = 32, .activation_bits = 32};
  MASE_ASSIGN_OR_RETURN(measurement.evaluation, context.Evaluate(graph_));
  return measurement;
}

absl::StatusOr<Measurement> NetMeasurer::Measure(const FormatProto& format,
                                                 PassContext& context) const {
  Graph graph = graph_.Clone();
  for (const Node* node : nodes_) {
    absl::StatusOr<Quantization> record = RecordFor(*node, format);
    if (!record.ok()) return Annotate(record.status(), node->name());
    graph.SetQuantization(graph.FindNode(node->name()), *std::move(record));
  }
  Measurement measurement;
  MASE_ASSIGN_OR_RETURN(const std::vector<float> outputs, Outputs(graph));
  measurement.sqnr_db = MeasureQuantizationError(outputs_, outputs).sqnr_db;
  MASE_ASSIGN_OR_RETURN(measurement.evaluation, context.Evaluate(graph));
  MASE_RETURN_IF_ERROR(CountBits(graph, &measurement));
  return measurement;
}

absl::StatusOr<Quantization> NetMeasurer::RecordFor(const Node& node,
                                                    const FormatProto& format) const {
  MASE_ASSIGN_OR_RETURN(const FormatProto any, Settle(format, {-1, 1}));
  MASE_ASSIGN_OR_RETURN(RuleFormat rule, UniformRule(any));
  for (auto& [operand, fitted] : rule.given) {
    const auto range = ranges_.find({node.name(), operand});
    if (range == ranges_.end()) continue;
    MASE_ASSIGN_OR_RETURN(fitted, Settle(format, range->second));
  }
  return QuantizationFor(node, rule, shapes_);
}

absl::Status NetMeasurer::CountBits(const Graph& graph, Measurement* measurement) const {
  BitCount weights, activations;
  const auto add = [&](const Node& node, const Operand& operand, const Shape& shape,
                       BitCount* count) -> absl::Status {
    if (operand.format == nullptr) {
      count->Add(32, shape);
      return absl::OkStatus();
    }
    MASE_ASSIGN_OR_RETURN(const OperandView view,
                          ViewOperand(node, operand.role, *operand.format, shape, shapes_));
    count->Add(view.format->BitsPerValue(view.shape), shape);
    return absl::OkStatus();
  };
  for (const Node* original : nodes_) {
    const Node& node = *graph.FindNode(original->name());
    for (const Operand& operand : OperandsOf(node)) {
      if (operand.source == Operand::Source::kInput) {
        MASE_RETURN_IF_ERROR(
            add(node, operand, shapes_.shape(original->inputs()[operand.index]), &activations));
      } else if (operand.source == Operand::Source::kTensor && operand.role == operands::kWeight) {
        const std::string& name = node.parameters()[operand.index].tensor;
        MASE_RETURN_IF_ERROR(add(node, operand, graph.FindTensor(name)->value.shape(), &weights));
      }
    }
  }
  measurement->activation_bits = activations.mean();
  measurement->weight_bits = weights.values > 0 ? weights.mean() : activations.mean();
  return absl::OkStatus();
}

}  // namespace mase::plugins::compare_formats
