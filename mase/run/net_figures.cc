#include "mase/run/net_figures.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/base/table_report.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/diagram.h"
#include "mase/quantize/cost.h"
#include "mase/quantize/net_costs.h"
#include "mase/quantize/net_picture.h"
#include "mase/quantize/operands.h"
#include "mase/run/goal_report.h"

namespace mase {
namespace {

constexpr int kBins = 48;
constexpr int kPasses = 200;
constexpr double kSeconds = 1;

// Metrics that are sums over the nodes.
constexpr std::pair<const char*, double (*)(const NetCosts&)> kCosts[] = {
    {"bytes", [](const NetCosts& costs) { return static_cast<double>(costs.packed_bytes); }},
    {"packed_bytes", [](const NetCosts& costs) { return static_cast<double>(costs.packed_bytes); }},
    {"average_bitwidth", [](const NetCosts& costs) { return costs.average_bitwidth(); }},
    {"macs", [](const NetCosts& costs) { return static_cast<double>(costs.macs); }},
    {"bitops", [](const NetCosts& costs) { return static_cast<double>(costs.bitops); }},
    {"ebops", [](const NetCosts& costs) { return static_cast<double>(costs.ebops); }},
};

// "data_in integer 8/4, weight integer 8/4", each operand once.
std::string FormatsOf(const Node& node) {
  std::vector<std::string> formats;
  std::set<absl::string_view> seen;
  for (const Operand& operand : OperandsOf(node)) {
    if (operand.format == nullptr || !seen.insert(operand.role).second) continue;
    formats.push_back(absl::StrCat(operand.role, " ", FormatText(*operand.format)));
  }
  return absl::StrJoin(formats, ", ");
}

struct Values {
  absl::string_view name;
  absl::Span<const float> stored;
  Tensor computed;
  std::string format;
};

HistogramReport HistogramOf(const Node& node, const Values& values) {
  HistogramReport histogram;
  histogram.set_node(node.name());
  histogram.set_tensor(std::string(values.name));
  histogram.set_format(values.format);
  const absl::Span<const float> computed = values.computed.data<float>();
  double low = INFINITY, high = -INFINITY;
  for (const absl::Span<const float> all : {values.stored, computed}) {
    for (const float value : all) {
      if (!std::isfinite(value)) continue;
      low = std::min<double>(low, value), high = std::max<double>(high, value);
    }
  }
  if (low > high) low = high = 0;
  histogram.set_low(low);
  histogram.set_high(high);
  const auto count = [&](absl::Span<const float> all,
                         google::protobuf::RepeatedField<uint32_t>* bins) {
    bins->Resize(kBins, 0);
    for (const float value : all) {
      if (!std::isfinite(value)) continue;
      const double place = high > low ? (value - low) / (high - low) * kBins : 0;
      const int bin = std::min(kBins - 1, static_cast<int>(place));
      bins->Set(bin, bins->Get(bin) + 1);
    }
  };
  count(values.stored, histogram.mutable_stored());
  count(computed, histogram.mutable_computed());
  return histogram;
}

}  // namespace

absl::StatusOr<int64_t> WeightBytes(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(const NetCosts costs, NetCostsOf(graph));
  return costs.packed_bytes;
}

absl::StatusOr<double> MedianLatencyUs(Executor& executor, const Tensor& features) {
  const InputData row(features.raw_data(), features.dtype());
  // The first pass plans.
  MASE_RETURN_IF_ERROR(executor.Forward(ExecutionMode::kInference, 1, {row}));
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (times.size() < kPasses &&
         std::chrono::duration<double>(Clock::now() - begin).count() < kSeconds) {
    const Clock::time_point before = Clock::now();
    MASE_RETURN_IF_ERROR(executor.Forward(ExecutionMode::kInference, 1, {row}));
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
  }
  const auto middle = times.begin() + static_cast<int64_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

absl::StatusOr<std::string> DescribeNet(const Graph& graph, RunReport& report) {
  MASE_ASSIGN_OR_RETURN(const Table nodes, NodeTable(graph));
  MASE_ASSIGN_OR_RETURN(const std::vector<HistogramReport> histograms, WeightHistograms(graph));
  auto* tables = report.mutable_tables();
  tables->erase(
      std::remove_if(tables->begin(), tables->end(),
                     [&](const TableReport& table) { return table.name() == nodes.name(); }),
      tables->end());
  *tables->Add() = ReportOf(nodes);
  report.mutable_histograms()->Assign(histograms.begin(), histograms.end());
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph));
  absl::StatusOr<std::string> picture = DiagramAsSvg(NetDiagram(graph, shapes));
  return absl::IsResourceExhausted(picture.status()) ? "" : picture;
}

absl::Status ReportNeededFigures(const Graph& graph, Executor& executor, const Tensor& features,
                                 absl::string_view stage, RunReport& report) {
  const auto add = [&](const char* name, double value) {
    MetricReport* metric = report.add_metrics();
    metric->set_name(name);
    metric->set_stage(std::string(stage));
    metric->set_value(value);
  };
  std::optional<NetCosts> costs;
  for (const auto& [name, figure] : kCosts) {
    if (!NeedsMetric(report, name)) continue;
    if (!costs.has_value()) {
      MASE_ASSIGN_OR_RETURN(costs, NetCostsOf(graph));
    }
    add(name, figure(*costs));
  }
  if (NeedsMetric(report, "latency_us")) {
    MASE_ASSIGN_OR_RETURN(const double latency, MedianLatencyUs(executor, features));
    add("latency_us", latency);
  }
  return absl::OkStatus();
}

absl::StatusOr<Table> NodeTable(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs, CostsOf(graph, shapes));
  Table table(
      "nodes", "Nodes of the net, for one row",
      {{"node"}, {"op"}, {"shape"}, {"parameters"}, {"MACs"}, {"bit operations"}, {"formats"}});
  for (const NodeCost& cost : costs) {
    const Node& node = *cost.node;
    const std::string shape =
        node.outputs().empty() ? "" : shapes.shape(node.outputs()[0]).ToString();
    table.AddRow({node.name(), node.op(), shape, cost.parameters, cost.macs, cost.forward_bitops,
                  FormatsOf(node)});
  }
  return table;
}

absl::StatusOr<std::vector<HistogramReport>> WeightHistograms(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  std::vector<HistogramReport> histograms;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Operand& operand : OperandsOf(*node)) {
      if (operand.format == nullptr || operand.source != Operand::Source::kTensor) continue;
      const Parameter& parameter = node->parameters()[operand.index];
      const GraphTensor* tensor = graph.FindTensor(parameter.tensor);
      if (tensor == nullptr || tensor->value.dtype() != DType::kFloat32) continue;
      MASE_ASSIGN_OR_RETURN(
          const OperandView view,
          ViewOperand(*node, operand.role, *operand.format, tensor->value.shape(), shapes));
      Values values{parameter.name, tensor->value.data<float>(),
                    Tensor(DType::kFloat32, view.shape), FormatText(*operand.format)};
      const absl::Status rounded = view.format->Quantize(
          values.stored.data(), values.computed.mutable_data<float>().data(), view.shape);
      if (rounded.ok()) histograms.push_back(HistogramOf(*node, values));
    }
  }
  return histograms;
}

}  // namespace mase
