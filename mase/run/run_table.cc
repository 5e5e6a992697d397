#include "mase/run/run_table.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/struct.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/run/figure.h"

namespace mase {
namespace {

constexpr char kSettings[] = "settings";

// A column that every run has.
struct Known {
  absl::string_view name;
  Cell (*of)(const FinishedRun&);
};

const MetricReport* Accuracy(const FinishedRun& run) { return FindMetric(run.report, "accuracy"); }

Cell Text(const std::string& text) { return text.empty() ? Cell() : Cell(text); }

const Known kKnown[] = {
    {"run", [](const FinishedRun& run) { return Cell(run.name); }},
    {"path", [](const FinishedRun& run) { return Cell(run.path); }},
    {"action", [](const FinishedRun& run) { return Text(run.report.action()); }},
    {"status", [](const FinishedRun& run) { return Text(run.report.status()); }},
    {"error", [](const FinishedRun& run) { return Text(run.report.error()); }},
    {"model", [](const FinishedRun& run) { return Text(run.report.model().name()); }},
    {"data", [](const FinishedRun& run) { return Text(run.report.data().name()); }},
    {"rows",
     [](const FinishedRun& run) {
       const MetricReport* accuracy = Accuracy(run);
       return accuracy == nullptr ? Cell() : Cell(accuracy->samples());
     }},
    {"split",
     [](const FinishedRun& run) {
       const MetricReport* accuracy = Accuracy(run);
       return accuracy == nullptr ? Cell() : Text(accuracy->split());
     }},
    {"low",
     [](const FinishedRun& run) {
       const MetricReport* accuracy = Accuracy(run);
       return accuracy == nullptr || !accuracy->has_low() ? Cell() : Cell(accuracy->low());
     }},
    {"high",
     [](const FinishedRun& run) {
       const MetricReport* accuracy = Accuracy(run);
       return accuracy == nullptr || !accuracy->has_high() ? Cell() : Cell(accuracy->high());
     }},
    {"seed", [](const FinishedRun& run) { return Cell(run.report.seed()); }},
    {"started", [](const FinishedRun& run) { return Text(run.report.started()); }},
    {"best_epoch",
     [](const FinishedRun& run) {
       return run.report.has_best_epoch() ? Cell(run.report.best_epoch()) : Cell();
     }},
    {"goals",
     [](const FinishedRun& run) {
       const auto& goals = run.report.goals();
       if (goals.empty()) return Cell();
       const auto met = absl::c_count_if(goals, [](const GoalReport& goal) { return goal.met(); });
       return Cell(absl::StrCat(met, " of ", goals.size()));
     }},
    {"warnings", [](const FinishedRun& run) { return Cell(run.report.warnings_size()); }},
};

Cell FromValue(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kNumberValue: {
      const double number = value.number_value();
      const bool whole = number == static_cast<double>(static_cast<int64_t>(number));
      return whole ? Cell(static_cast<int64_t>(number)) : Cell(number);
    }
    case google::protobuf::Value::kStringValue:
      return Cell(value.string_value());
    case google::protobuf::Value::kBoolValue:
      return Cell(value.bool_value());
    default:
      return {};
  }
}

// A setting by its way into the settings. Scalar keys stand for their message: settings.model.
Cell Setting(const RunReport& report, absl::Span<const std::string> way) {
  const google::protobuf::Struct* at = &report.settings();
  for (size_t i = 0; i < way.size(); ++i) {
    const auto found = at->fields().find(way[i]);
    if (found == at->fields().end()) return {};
    if (i + 1 == way.size()) return FromValue(found->second);
    if (!found->second.has_struct_value()) return {};
    at = &found->second.struct_value();
  }
  return {};
}

Cell CellOf(const FinishedRun& run, const std::string& column) {
  for (const Known& known : kKnown) {
    if (known.name == column) return known.of(run);
  }
  const std::vector<std::string> words = absl::StrSplit(column, '.');
  if (words.size() > 1 && words[0] == kSettings) {
    return Setting(run.report, absl::MakeSpan(words).subspan(1));
  }
  const absl::StatusOr<Figure> figure = FindFigure(words, run.report);
  if (!figure.ok()) return {};
  google::protobuf::Value value;
  value.set_number_value(figure->value);
  return KindOfFigure(words) == MetricKind::kShare ? Cell(figure->value) : FromValue(value);
}

// All names that could have been meant.
std::vector<std::string> Names(absl::Span<const FinishedRun> runs) {
  std::vector<std::string> names = MetricNames();
  for (const Known& known : kKnown) names.emplace_back(known.name);
  std::set<std::string> more;
  for (const FinishedRun& run : runs) {
    for (const auto& [key, value] : run.report.settings().fields()) {
      more.insert(absl::StrCat(kSettings, ".", key));
    }
    for (const MetricReport& metric : run.report.metrics()) {
      more.insert(absl::StrCat(metric.stage(), ".", metric.name()));
    }
  }
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

absl::Status CheckColumn(absl::Span<const FinishedRun> runs, const std::string& column) {
  const bool fixed =
      absl::c_any_of(kKnown, [&](const Known& known) { return known.name == column; }) ||
      absl::c_linear_search(MetricNames(), column);
  const bool any = fixed || absl::c_any_of(runs, [&](const FinishedRun& run) {
                     return !CellOf(run, column).empty();
                   });
  if (any) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no run has a '", column, "'", Suggest(column, Names(runs))));
}

// Numbers by value before texts by their bytes; what is empty is after all of them either way.
bool IsLess(const Cell& a, const Cell& b) {
  const auto number = [](const Cell& cell) -> std::optional<double> {
    if (const auto* whole = std::get_if<int64_t>(&cell.value())) return static_cast<double>(*whole);
    if (const auto* real = std::get_if<double>(&cell.value())) return *real;
    return std::nullopt;
  };
  const auto x = number(a), y = number(b);
  if (x.has_value() != y.has_value()) return x.has_value();
  return x.has_value() ? *x < *y : a.value() < b.value();
}

// How soon a column gives way on a narrow terminal.
int RankOf(const std::string& name) {
  if (name == "action") return 3;
  if (name == "data") return 2;
  return name == "low" || name == "high" ? 1 : 0;
}

Column ColumnOf(const std::string& name) {
  Column column{name};
  column.rank = RankOf(name);
  const std::vector<std::string> words = absl::StrSplit(name, '.');
  const std::optional<MetricKind> kind = KindOfFigure(words);
  if (kind == MetricKind::kShare || name == "low" || name == "high" || words.back() == "loss") {
    column.decimals = 4;
  }
  if (kind == MetricKind::kSeconds) column.decimals = 2;
  return column;
}

}  // namespace

std::vector<std::string> DefaultRunColumns() {
  return {"run", "action", "model", "data", "status", "split", "accuracy", "low", "high", "loss"};
}

absl::StatusOr<Table> RunTable(absl::Span<const FinishedRun> runs,
                               const std::vector<std::string>& columns, absl::string_view sort) {
  const bool descending = absl::ConsumePrefix(&sort, "-");
  const std::string key(sort);
  for (const std::string& column : columns) MASE_RETURN_IF_ERROR(CheckColumn(runs, column));
  if (!key.empty()) MASE_RETURN_IF_ERROR(CheckColumn(runs, key));

  std::vector<size_t> order(runs.size());
  std::iota(order.begin(), order.end(), 0);
  if (!key.empty()) {
    std::vector<Cell> keys;
    for (const FinishedRun& run : runs) keys.push_back(CellOf(run, key));
    absl::c_stable_sort(order, [&](size_t a, size_t b) {
      if (keys[a].empty() || keys[b].empty()) return !keys[a].empty() && keys[b].empty();
      return descending ? IsLess(keys[b], keys[a]) : IsLess(keys[a], keys[b]);
    });
  }
  std::vector<Column> shown;
  for (const std::string& column : columns) shown.push_back(ColumnOf(column));
  Table table("runs", "", std::move(shown));
  for (const size_t i : order) {
    std::vector<Cell> cells;
    for (const std::string& column : columns) cells.push_back(CellOf(runs[i], column));
    table.AddRow(std::move(cells));
  }
  return table;
}

}  // namespace mase
