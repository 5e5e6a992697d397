#include "mase/search/objective.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/metric/metric.h"

namespace mase {
namespace {

constexpr MetricInfo kMetrics[] = {
    {"accuracy", true, true, "mean over classes of the share that is right (macro), as MASE's"},
    {"accuracy_macro", true, true, "the same"},
    {"accuracy_micro", true, true, "share of all rows that is right, as train and test print it"},
    {"loss", true, false, "mean over batches of the cross-entropy"},
    {"average_bitwidth", false, false, "bits of a weight of linear layers with a format"},
    {"memory_density", false, true, "compare_to / average_bitwidth"},
    {"packed_bytes", false, false, "weights and biases in the bits of their formats"},
    {"parameters", false, false, "trained numbers"},
    {"macs", false, false, "multiplications of one row"},
    {"bitops", false, false, "operations on bits of one row"},
    {"ebops", false, false, "effective operations on bits of one row (HGQ)"},
    {"latency_us", false, false, "median time of one row, microseconds"},
};

// Nothing, where there is no such metric.
std::optional<MetricInfo> InfoOfMetric(absl::string_view name,
                                       absl::Span<const std::string> classes) {
  for (const MetricInfo& metric : kMetrics) {
    if (metric.name == name) return metric;
  }
  if (const MetricDefinition* own = FindMetric(name)) {
    return MetricInfo{own->name, true, own->higher_is_better, own->summary};
  }
  if (absl::ConsumePrefix(&name, kRecallOf) && absl::c_linear_search(classes, name)) {
    return MetricInfo{kRecallOf, true, true, "share of a class's rows that is right"};
  }
  return std::nullopt;
}

std::vector<std::string> MetricNames(absl::Span<const std::string> classes) {
  std::vector<std::string> names;
  for (const MetricInfo& metric : kMetrics) names.emplace_back(metric.name);
  for (const MetricDefinition* own : OwnMetrics()) names.push_back(own->name);
  for (const std::string& name : classes) names.push_back(absl::StrCat(kRecallOf, name));
  return names;
}

// The number that a choice is; nothing of texts.
std::optional<double> NumberOf(const SearchParameter& parameter, double value) {
  if (parameter.kind != SearchParameter::Kind::kCategorical) return value;
  const ParameterChoice& choice = parameter.choices[static_cast<size_t>(value)];
  if (const int64_t* whole = std::get_if<int64_t>(&choice)) return static_cast<double>(*whole);
  if (const double* real = std::get_if<double>(&choice)) return *real;
  return std::nullopt;
}

// How far `left relation right` is from true; <= 0: it is.
double Excess(double left, absl::string_view relation, double right) {
  if (relation == "<=") return left - right;
  if (relation == ">=") return right - left;
  const double distance = std::abs(left - right);
  if (relation == "==") return distance;
  if (relation == "!=") return distance > 0 ? 0 : 1;
  // Strict ones count what is equal as a violation.
  const double beyond = relation == "<" ? left - right : right - left;
  return beyond == 0 ? 1 : beyond;
}

}  // namespace

const double* TrialFigures::Find(absl::string_view metric) const {
  for (const auto* all : {&software, &hardware}) {
    if (const auto found = all->find(std::string(metric)); found != all->end()) {
      return &found->second;
    }
  }
  return nullptr;
}

absl::Span<const MetricInfo> SearchMetrics() { return kMetrics; }

std::string SearchMetricOf(absl::string_view figure) {
  return figure == "bytes"    ? "packed_bytes"
         : figure == "recall" ? "accuracy_macro"
                              : std::string(figure);
}

absl::StatusOr<Objective> Objective::Create(const SearchSettings& settings,
                                            const ParameterSpace& space,
                                            absl::Span<const std::string> classes) {
  Objective objective;
  objective.classes_.assign(classes.begin(), classes.end());
  const SearchStrategySettings& strategy = settings.strategy();
  objective.sum_ = strategy.setup().sum_scaled_metrics();
  objective.parameters_ = space.parameters();
  std::map<std::string, const SearchMetric*> metrics;  // In MASE's order.
  for (const SearchMetric& metric : strategy.metrics()) metrics[metric.name()] = &metric;
  if (metrics.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("search.strategy.metrics: no metric; want some of ",
                     absl::StrJoin(MetricNames(classes), ", ")));
  }
  for (const auto& [name, metric] : metrics) {
    const std::optional<MetricInfo> info = InfoOfMetric(name, classes);
    if (!info.has_value()) {
      const std::string nearest = Suggest(name, MetricNames(classes));
      return absl::InvalidArgumentError(absl::StrCat(
          "search.strategy.metrics.", name, ": no such metric",
          nearest.empty()
              ? absl::StrCat("; want one of ", absl::StrJoin(MetricNames(classes), ", "))
              : nearest));
    }
    objective.needed_.insert(name);
    objective.scales_[name] = metric->has_scale() ? metric->scale() : 1;
    if (objective.sum_) continue;
    const bool maximize =
        metric->has_direction() ? metric->direction() == "maximize" : info->maximize;
    objective.names_.push_back(name);
    objective.directions_.push_back(maximize ? Direction::kMaximize : Direction::kMinimize);
  }
  const auto measured = absl::c_find_if(objective.names_, [&](const std::string& name) {
    return InfoOfMetric(name, classes)->software;
  });
  if (measured != objective.names_.end()) {
    objective.error_ = static_cast<size_t>(measured - objective.names_.begin());
  }
  if (objective.sum_) {
    if (!strategy.setup().has_direction()) {
      return absl::InvalidArgumentError(
          "search.strategy.setup: sum_scaled_metrics wants a direction, \"maximize\" or "
          "\"minimize\"");
    }
    objective.names_ = {kScaledSum};
    objective.directions_ = {strategy.setup().direction() == "maximize" ? Direction::kMaximize
                                                                        : Direction::kMinimize};
  }
  for (const std::string& text : settings.search_space().constraints()) {
    MASE_RETURN_IF_ERROR(objective.AddConstraint(text, space));
  }
  return objective;
}

void Objective::Need(absl::string_view metric) {
  if (InfoOfMetric(metric, classes_).has_value()) needed_.emplace(metric);
}

absl::Status Objective::AddConstraint(const std::string& text, const ParameterSpace& space) {
  const auto wrong = [&text](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("search.search_space.constraints: \"", text, "\": ", what));
  };
  const std::vector<std::string> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  constexpr const char* kRelations[] = {"<=", ">=", "<", ">", "==", "!="};
  if (words.size() != 3 || !absl::c_linear_search(kRelations, words[1])) {
    return wrong("want NAME RELATION VALUE with spaces between, as \"packed_bytes <= 200\"");
  }
  Constraint constraint{text, words[1], {}, {}};
  bool reads_figures = false;
  for (const auto& [word, term] : {std::pair<std::string, Term*>{words[0], &constraint.left},
                                   std::pair<std::string, Term*>{words[2], &constraint.right}}) {
    term->parameter = space.Find(word);
    term->text = word;
    if (term->parameter >= 0) continue;
    if (InfoOfMetric(word, classes_).has_value()) {
      term->metric = word;
      reads_figures = true;
      needed_.insert(word);
      continue;
    }
    const bool number = absl::SimpleAtod(word, &term->number) && std::isfinite(term->number);
    if (!number && term == &constraint.left) {
      std::vector<std::string> names = MetricNames(classes_);
      for (const SearchParameter& parameter : space.parameters()) names.push_back(parameter.name);
      return wrong(absl::StrCat("'", word, "' is no choice and no metric", Suggest(word, names)));
    }
    if (!number) term->number = std::nan("");  // A text, to be equal to.
  }
  (reads_figures ? on_figures_ : on_points_).push_back(std::move(constraint));
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, double>> Objective::ScaledOf(
    const TrialFigures& figures) const {
  std::map<std::string, double> scaled;
  for (const auto& [name, scale] : scales_) {
    const double* value = figures.Find(name);
    if (value == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("the metric ", name, " was not measured"));
    }
    if (!std::isfinite(*value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the metric ", name, " is ", std::isnan(*value) ? "nan" : "inf",
          ": look for nan and inf in the weights, and for formats whose range is too small"));
    }
    scaled[name] = scale * *value;
  }
  return scaled;
}

absl::StatusOr<std::vector<double>> Objective::ValuesOf(const TrialFigures& figures) const {
  MASE_ASSIGN_OR_RETURN(const auto scaled, ScaledOf(figures));
  std::vector<double> values;
  for (const auto& [name, value] : scaled) values.push_back(value);
  if (!sum_) return values;
  double sum = 0;
  for (const double value : values) sum += value;
  return std::vector<double>{sum};
}

std::vector<double> Objective::ConstraintsOf(const TrialFigures& figures) const {
  std::vector<double> excesses;
  const auto value = [&figures](const Term& term) {
    const double* figure = figures.Find(term.metric);
    return term.metric.empty() ? term.number : figure == nullptr ? std::nan("") : *figure;
  };
  for (const Constraint& constraint : on_figures_) {
    const double excess =
        Excess(value(constraint.left), constraint.relation, value(constraint.right));
    excesses.push_back(std::isnan(excess) ? std::numeric_limits<double>::infinity() : excess);
  }
  return excesses;
}

std::string Objective::Refusal(absl::Span<const double> point) const {
  for (const Constraint& constraint : on_points_) {
    std::vector<std::optional<double>> numbers;
    std::vector<std::string> texts;
    bool active = true;
    for (const Term* term : {&constraint.left, &constraint.right}) {
      if (term->parameter < 0) {
        numbers.push_back(std::isnan(term->number) ? std::nullopt
                                                   : std::optional<double>(term->number));
        texts.push_back(term->text);
        continue;
      }
      const double value = point[term->parameter];
      // What is not there violates nothing.
      active &= !std::isnan(value);
      if (!active) break;
      const SearchParameter& parameter = parameters_[term->parameter];
      numbers.push_back(NumberOf(parameter, value));
      const std::string* text =
          parameter.kind == SearchParameter::Kind::kCategorical
              ? std::get_if<std::string>(&parameter.choices[static_cast<size_t>(value)])
              : nullptr;
      texts.push_back(text != nullptr ? *text : "");
    }
    if (!active) continue;
    if (numbers[0].has_value() && numbers[1].has_value()) {
      if (Excess(*numbers[0], constraint.relation, *numbers[1]) > 0) return constraint.text;
    } else if ((constraint.relation == "==" && texts[0] != texts[1]) ||
               (constraint.relation == "!=" && texts[0] == texts[1])) {
      return constraint.text;
    }
  }
  return "";
}

}  // namespace mase
