#include "mase/search/search_results.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "mase/sampler/pareto.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMostValues = 12;  // Of a choice, in the table of the space.

Json AttributeOf(const Trial& trial, const char* key) {
  const auto found = trial.attributes.find(key);
  if (found == trial.attributes.end()) return nullptr;
  return Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
}

Json ObjectOf(const std::map<std::string, double>& values) {
  Json json = Json::object();
  for (const auto& [name, value] : values) {
    if (std::isfinite(value)) json[name] = value;
  }
  return json;
}

// What MASE keeps of a trial besides its number and values; `prefix` stands before each key.
void AddAttributes(const Trial& trial, const SearchSpace& space, const Objective& objective,
                   absl::string_view prefix, Json& entry) {
  const auto scaled = objective.ScaledOf(FiguresOfTrial(trial));
  entry[absl::StrCat(prefix, kSoftwareMetrics)] = AttributeOf(trial, kSoftwareMetrics);
  entry[absl::StrCat(prefix, kHardwareMetrics)] = AttributeOf(trial, kHardwareMetrics);
  entry[absl::StrCat(prefix, "scaled_metrics")] = scaled.ok() ? ObjectOf(*scaled) : Json();
  entry[absl::StrCat(prefix, "sampled_config")] =
      trial.point.empty() ? Json() : Json::parse(space.SampledConfig(trial.point));
}

void ReadFigures(const Json& json, std::map<std::string, double>& figures) {
  if (!json.is_object()) return;
  for (const auto& [name, value] : json.items()) {
    if (value.is_number()) figures[name] = value.get<double>();
  }
}

// The metrics that any trial has, in the order of their table.
std::vector<std::string> MetricsOf(absl::Span<const Trial* const> trials) {
  std::set<std::string> seen;
  for (const Trial* trial : trials) {
    const TrialFigures figures = FiguresOfTrial(*trial);
    for (const auto* all : {&figures.software, &figures.hardware}) {
      for (const auto& [name, value] : *all) seen.insert(name);
    }
  }
  std::vector<std::string> names;
  for (const MetricInfo& metric : SearchMetrics()) {
    if (seen.contains(std::string(metric.name))) names.emplace_back(metric.name);
  }
  return names;
}

// Whole numbers without a point.
Cell NumberCell(double value) {
  const bool whole = std::trunc(value) == value && std::abs(value) < 1e15;
  return whole ? Cell(static_cast<int64_t>(value)) : Cell(value);
}

Column MetricColumn(const std::string& metric) {
  return {.name = metric, .decimals = -1, .rank = metric == "accuracy_macro" ? 9 : 1};
}

// As much of the end of each name as tells it from the others: "seq_blocks_2/weight_width".
std::vector<std::string> ShortNames(const ParameterSpace& space) {
  std::vector<std::string> names;
  for (const SearchParameter& parameter : space.parameters()) {
    std::string name = parameter.name;
    if (const size_t at = name.find("/config/"); at != std::string::npos) name.erase(at, 7);
    names.push_back(std::move(name));
  }
  return names;
}

Cell ChoiceCell(const ParameterSpace& space, size_t index, double value) {
  if (std::isnan(value)) return Cell();
  const SearchParameter& parameter = space[index];
  if (parameter.kind != SearchParameter::Kind::kCategorical) return NumberCell(value);
  const ParameterChoice& choice = parameter.choices[static_cast<size_t>(value)];
  if (const int64_t* whole = std::get_if<int64_t>(&choice)) return Cell(*whole);
  if (const double* real = std::get_if<double>(&choice)) return Cell(*real);
  return Cell(SettingText(parameter, value));
}

}  // namespace

absl::string_view StateName(TrialState state) {
  switch (state) {
    case TrialState::kRunning:
      return "RUNNING";
    case TrialState::kComplete:
      return "COMPLETE";
    case TrialState::kPruned:
      return "PRUNED";
    case TrialState::kFailed:
      return "FAIL";
    case TrialState::kWaiting:
      return "WAITING";
  }
  return "";
}

void SetFigures(const TrialFigures& figures, Trial& trial) {
  trial.attributes[kSoftwareMetrics] = ObjectOf(figures.software).dump();
  trial.attributes[kHardwareMetrics] = ObjectOf(figures.hardware).dump();
}

TrialFigures FiguresOfTrial(const Trial& trial) {
  TrialFigures figures;
  ReadFigures(AttributeOf(trial, kSoftwareMetrics), figures.software);
  ReadFigures(AttributeOf(trial, kHardwareMetrics), figures.hardware);
  return figures;
}

std::vector<const Trial*> BestTrials(absl::Span<const Trial* const> trials,
                                     absl::Span<const Direction> directions) {
  std::vector<const Trial*> complete;
  double least = std::numeric_limits<double>::infinity();
  for (const Trial* trial : trials) {
    if (trial->state != TrialState::kComplete) continue;
    complete.push_back(trial);
    least = std::min(least, Violation(*trial));
  }
  std::vector<const Trial*> candidates;
  std::vector<LossRow> losses;
  std::set<std::vector<double>> points;
  for (const Trial* trial : complete) {
    if (Violation(*trial) > least) continue;
    std::vector<double> point = trial->point;
    for (double& value : point) value = std::isnan(value) ? -1e300 : value;
    if (!points.insert(std::move(point)).second) continue;
    candidates.push_back(trial);
    losses.push_back(Losses(*trial, directions));
  }
  if (candidates.empty()) return {};
  if (directions.size() == 1) {
    const auto best = std::min_element(losses.begin(), losses.end());
    return {candidates[best - losses.begin()]};
  }
  std::vector<const Trial*> front;
  for (const size_t i : ParetoFront(losses)) front.push_back(candidates[i]);
  return front;
}

const Trial* Compromise(absl::Span<const Trial* const> best,
                        absl::Span<const Direction> directions) {
  std::vector<LossRow> losses;
  for (const Trial* trial : best) losses.push_back(Losses(*trial, directions));
  LossRow low = losses[0], high = losses[0];
  for (const LossRow& row : losses) {
    for (size_t i = 0; i < row.size(); ++i) {
      low[i] = std::min(low[i], row[i]);
      high[i] = std::max(high[i], row[i]);
    }
  }
  size_t chosen = 0;
  double greatest = -1;
  for (size_t t = 0; t < losses.size(); ++t) {
    double sum = 0;
    for (size_t i = 0; i < low.size(); ++i) {
      if (high[i] > low[i]) sum += (high[i] - losses[t][i]) / (high[i] - low[i]);
    }
    if (sum > greatest) chosen = t, greatest = sum;
  }
  return best[chosen];
}

Table TrialTable(absl::Span<const Trial* const> trials, const SearchSpace& space,
                 const Objective& objective) {
  const std::vector<std::string> metrics = MetricsOf(trials);
  std::vector<Column> columns = {{"trial"}, {"state"}};
  const bool has_sum = objective.names() == std::vector<std::string>{kScaledSum};
  if (has_sum) columns.push_back({.name = kScaledSum});
  for (const std::string& metric : metrics) columns.push_back(MetricColumn(metric));
  for (const std::string& name : ShortNames(space.parameters())) {
    columns.push_back({.name = name, .rank = 2});
  }
  columns.push_back({.name = "error", .rank = 1});
  Table table("trials", "Trials", std::move(columns));
  for (const Trial* trial : trials) {
    std::vector<Cell> row = {trial->number, StateName(trial->state)};
    if (has_sum) row.push_back(trial->values.empty() ? Cell() : Cell(trial->values[0]));
    const TrialFigures figures = FiguresOfTrial(*trial);
    for (const std::string& metric : metrics) {
      const double* value = figures.Find(metric);
      row.push_back(value == nullptr ? Cell() : NumberCell(*value));
    }
    for (size_t i = 0; i < space.parameters().dimensions(); ++i) {
      row.push_back(i < trial->point.size() ? ChoiceCell(space.parameters(), i, trial->point[i])
                                            : Cell());
    }
    const Json error = AttributeOf(*trial, kError);
    row.push_back(error.is_string() ? Cell(error.get<std::string>()) : Cell());
    table.AddRow(std::move(row));
  }
  return table;
}

Table BestTable(absl::Span<const Trial* const> best, const SearchSpace& space,
                const Objective& objective) {
  const bool has_sum = objective.names() == std::vector<std::string>{kScaledSum};
  std::vector<Column> columns = {{"trial"}};
  if (has_sum) columns.push_back({kScaledSum});
  // What the search is for stands first.
  std::vector<std::string> metrics;
  for (const std::string& metric : MetricsOf(best)) {
    if (objective.metrics().contains(metric)) metrics.push_back(metric);
  }
  for (const char* other : {"accuracy_micro", "loss"}) {
    if (!objective.metrics().contains(other)) metrics.emplace_back(other);
  }
  for (const std::string& metric : metrics) columns.push_back(MetricColumn(metric));
  const std::vector<std::string> names = ShortNames(space.parameters());
  std::vector<size_t> shown;
  for (size_t i = 0; i < names.size(); ++i) {
    if (space.parameters()[i].size() == uint64_t{1}) continue;
    shown.push_back(i);
    columns.push_back({.name = names[i], .rank = 2});
  }
  Table table("front", best.size() == 1 ? "Best trial" : "Best trials (Pareto front)",
              std::move(columns));
  for (const Trial* trial : best) {
    std::vector<Cell> row = {trial->number};
    if (has_sum) row.push_back(trial->values[0]);
    const TrialFigures figures = FiguresOfTrial(*trial);
    for (const std::string& metric : metrics) {
      const double* value = figures.Find(metric);
      row.push_back(value == nullptr ? Cell() : NumberCell(*value));
    }
    for (const size_t i : shown) row.push_back(ChoiceCell(space.parameters(), i, trial->point[i]));
    table.AddRow(std::move(row));
  }
  return table;
}

Table SpaceTable(const SearchSpace& space) {
  Table table("space", "What there is to choose", {{"choice"}, {"values"}});
  const ParameterSpace& parameters = space.parameters();
  for (const SearchParameter& parameter : parameters.parameters()) {
    std::string values;
    if (parameter.kind == SearchParameter::Kind::kCategorical) {
      std::vector<std::string> texts;
      for (size_t i = 0; i < parameter.choices.size(); ++i) {
        texts.push_back(SettingText(parameter, static_cast<double>(i)));
      }
      const size_t all = texts.size();
      if (all > kMostValues) {
        texts.resize(kMostValues);
        texts.push_back(absl::StrCat("... (", all, ")"));
      }
      values = absl::StrJoin(texts, ", ");
    } else {
      values = absl::StrCat(parameter.low, " to ", parameter.high);
      if (parameter.step > 0) absl::StrAppend(&values, ", step ", parameter.step);
      if (parameter.log) absl::StrAppend(&values, ", logarithmic");
    }
    if (parameter.parent >= 0) {
      std::vector<std::string> of;
      for (const double value : parameter.parent_values) {
        of.push_back(SettingText(parameters[parameter.parent], value));
      }
      absl::StrAppend(&values, "  (where ", parameters[parameter.parent].name, " is ",
                      absl::StrJoin(of, " or "), ")");
    }
    table.AddRow({parameter.name, values});
  }
  return table;
}

std::string LogJson(absl::Span<const Trial* const> trials, const SearchSpace& space,
                    const Objective& objective, bool times) {
  Json log = Json::object();
  int row = 0;
  for (const Trial* trial : trials) {
    Json entry = Json::object();
    entry["number"] = trial->number;
    const auto value = [&](size_t i) {
      return i < trial->values.size() ? Json(trial->values[i]) : Json();
    };
    if (trial->values.size() <= 1) entry["value"] = value(0);
    for (size_t i = 0; trial->values.size() > 1 && i < trial->values.size(); ++i) {
      entry[absl::StrCat("values_", i)] = value(i);
    }
    AddAttributes(*trial, space, objective, "user_attrs_", entry);
    if (trial->attributes.contains(kError)) {
      entry[absl::StrCat("user_attrs_", kError)] = AttributeOf(*trial, kError);
    }
    entry["state"] = std::string(StateName(trial->state));
    if (times) {
      const int64_t start = absl::ToUnixMillis(trial->start);
      const int64_t complete = absl::ToUnixMillis(trial->complete);
      entry["datetime_start"] = start;
      entry["datetime_complete"] = complete;
      entry["duration"] = complete - start;
    }
    log[absl::StrCat(row++)] = std::move(entry);
  }
  return absl::StrCat(log.dump(4), "\n");
}

std::string BestJson(absl::Span<const Trial* const> best, const SearchSpace& space,
                     const Objective& objective) {
  Json json = Json::object();
  int row = 0;
  for (const Trial* trial : best) {
    Json entry = Json::object();
    entry["number"] = trial->number;
    entry["value"] = trial->values.size() == 1 ? Json(trial->values[0]) : Json(trial->values);
    AddAttributes(*trial, space, objective, "", entry);
    json[absl::StrCat(row++)] = std::move(entry);
  }
  return absl::StrCat(json.dump(4), "\n");
}

}  // namespace mase
