#include "mase/run/compare_runs.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "mase/base/status_macros.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"
#include "mase/quantize/cost.h"
#include "mase/run/figure.h"
#include "mase/run/measure.h"
#include "mase/run/net_figures.h"
#include "mase/run/run_directory.h"

namespace mase {
namespace {

absl::StatusOr<std::optional<ComparedRun::NetCosts>> CostsOfNet(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, LoadCheckpoint(path));
  if (!checkpoint.graph.has_value()) return std::nullopt;  // Tensors alone.
  const Graph& graph = *checkpoint.graph;
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> nodes, CostsOf(graph, shapes));
  MASE_ASSIGN_OR_RETURN(const std::vector<TensorCost> tensors, TensorCostsOf(graph, shapes));
  ComparedRun::NetCosts costs;
  costs.parameters = graph.parameter_count();
  for (const NodeCost& node : nodes) {
    costs.macs += node.macs;
    costs.bitops += node.forward_bitops;
  }
  double bits = 0, elements = 0;
  for (const TensorCost& tensor : tensors) {
    if (tensor.tensor->buffer) continue;
    const double count = static_cast<double>(tensor.tensor->value.elements());
    bits += tensor.bits_per_value * count;
    elements += count;
  }
  if (elements > 0) costs.weight_bits = bits / elements;
  MASE_ASSIGN_OR_RETURN(costs.weight_bytes, WeightBytes(graph));
  return costs;
}

// A row of the comparison: what is in both cells, and the difference where both are numbers.
void AddRow(Table& table, const char* name, const Cell& first, const Cell& second) {
  Cell difference;
  if (const auto* a = std::get_if<int64_t>(&first.value()),
      *b = std::get_if<int64_t>(&second.value());
      a != nullptr && b != nullptr) {
    difference = *b - *a;
  } else if (const auto* x = std::get_if<double>(&first.value()),
             *y = std::get_if<double>(&second.value());
             x != nullptr && y != nullptr) {
    difference = *y - *x;
  }
  if (first.empty() && second.empty()) return;
  table.AddRow({name, first, second, difference});
}

Cell TextCell(const std::string& text) { return text.empty() ? Cell() : Cell(text); }

Cell FigureCell(const ComparedRun& compared, absl::string_view name) {
  const std::vector<std::string> words = absl::StrSplit(name, '.');
  const absl::StatusOr<Figure> figure = FindFigure(words, compared.run.report);
  return figure.ok() ? Cell(figure->value) : Cell();
}

Cell IntervalCell(const ComparedRun& compared) {
  const MetricReport* accuracy = FindMetric(compared.run.report, "accuracy");
  if (accuracy == nullptr || !accuracy->has_low()) return {};
  return absl::StrFormat("%.3f to %.3f", accuracy->low(), accuracy->high());
}

std::string AccuracyText(const ComparedRun& first, const ComparedRun& second) {
  const MetricReport* a = FindMetric(first.run.report, "accuracy");
  const MetricReport* b = FindMetric(second.run.report, "accuracy");
  if (a == nullptr || b == nullptr) return "";
  ComparisonReport comparison;
  if (CompareAccuracies(*a, *b, comparison)) return ComparisonText(comparison);
  return absl::StrCat("The accuracies were not counted on the same rows (",
                      first.run.report.data().name(), " ", a->split(), ", ", a->samples(),
                      " rows; ", second.run.report.data().name(), " ", b->split(), ", ",
                      b->samples(), " rows):\ntheir difference says nothing of the nets alone.\n");
}

}  // namespace

absl::StatusOr<ComparedRun> OpenCompared(const std::string& path) {
  ComparedRun compared;
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    compared.run.path = path;
    compared.run.name = std::filesystem::path(path).filename().string();
    MASE_ASSIGN_OR_RETURN(compared.net, CostsOfNet(path));
    return compared;
  }
  FinishedRuns read = ReadRuns({path});
  MASE_RETURN_IF_ERROR(read.problems);
  if (read.runs.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has ", read.runs.size(),
                                                   " runs below it, the first ", read.runs[0].path,
                                                   "; name one of them, or use `report` for all"));
  }
  compared.run = std::move(read.runs[0]);
  const absl::StatusOr<std::string> checkpoint = CheckpointOfRun(compared.run.path);
  if (checkpoint.ok()) {
    MASE_ASSIGN_OR_RETURN(compared.net, CostsOfNet(*checkpoint));
  }
  return compared;
}

RunComparison CompareRuns(const ComparedRun& first, const ComparedRun& second) {
  std::string a = first.run.name, b = second.run.name;
  if (a == b) a = first.run.path, b = second.run.path;
  RunComparison comparison{
      Table("compare", "", {{""}, {a}, {b}, {.name = "change", .signs = true}}),
      AccuracyText(first, second)};
  Table& table = comparison.table;
  const RunReport &x = first.run.report, &y = second.run.report;
  AddRow(table, "action", TextCell(x.action()), TextCell(y.action()));
  AddRow(table, "model", TextCell(x.model().name()), TextCell(y.model().name()));
  AddRow(table, "data", TextCell(x.data().name()), TextCell(y.data().name()));
  AddRow(table, "status", TextCell(x.status()), TextCell(y.status()));
  const auto net = [&](const char* name, auto member) {
    AddRow(table, name, first.net ? Cell((*first.net).*member) : Cell(),
           second.net ? Cell((*second.net).*member) : Cell());
  };
  using NetCosts = ComparedRun::NetCosts;
  net("parameters", &NetCosts::parameters);
  net("MACs of a row", &NetCosts::macs);
  net("bit operations of a row", &NetCosts::bitops);
  net("bits of a weight", &NetCosts::weight_bits);
  net("weight bytes", &NetCosts::weight_bytes);
  AddRow(table, "accuracy", FigureCell(first, "accuracy"), FigureCell(second, "accuracy"));
  AddRow(table, "its 95 % interval", IntervalCell(first), IntervalCell(second));
  const std::pair<const char*, const char*> figures[] = {
      {"loss", "loss"},
      {"F1 (macro)", "f1"},
      {"ROC AUC", "roc_auc"},
      {"calibration error", "calibration_error"},
      {"latency (us)", "latency_us"},
      {"time of the run (s)", "seconds"},
  };
  for (const auto& [title, name] : figures) {
    AddRow(table, title, FigureCell(first, name), FigureCell(second, name));
  }
  return comparison;
}

}  // namespace mase
