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

std::string WithoutQuotes(absl::string_view word) {
  for (const absl::string_view quote : {"\"", "'"}) {
    absl::string_view inner = word;
    if (absl::ConsumePrefix(&inner, quote) && absl::ConsumeSuffix(&inner, quote)) {
      return std::string(inner);
    }
  }
  return std::string(word);
}

// A choice as a constraint spells it: NA, true, 8, integer.
std::string TextOf(const ParameterChoice& choice) {
  if (std::holds_alternative<std::monostate>(choice)) return "NA";
  const std::string* text = std::get_if<std::string>(&choice);
  return text != nullptr ? *text : ChoiceJson(choice);
}

// Whether it is ever that text; whether it is ever a number.
bool HasText(const SearchParameter& parameter, absl::string_view text) {
  return absl::c_any_of(parameter.choices,
                        [text](const ParameterChoice& choice) { return TextOf(choice) == text; });
}
bool HasNumbers(const SearchParameter& parameter) {
  return parameter.kind != SearchParameter::Kind::kCategorical ||
         absl::c_any_of(parameter.choices, [](const ParameterChoice& choice) {
           return std::holds_alternative<int64_t>(choice) || std::holds_alternative<double>(choice);
         });
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
  // The last word may be several, in quotes or without.
  std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() > 3) {
    words[2] = absl::StrJoin(words.begin() + 2, words.end(), " ");
    words.resize(3);
  }
  if (words.size() == 3) words[2] = WithoutQuotes(words[2]);
  constexpr const char* kRelations[] = {"<=", ">=", "<", ">", "==", "!="};
  if (words.size() != 3 || !absl::c_linear_search(kRelations, words[1])) {
    return wrong("want NAME RELATION VALUE with spaces between, as \"packed_bytes <= 200\"");
  }
  Constraint constraint{text, words[1], {}, {}};
  bool reads_figures = false;
  Term *const left = &constraint.left, *const right = &constraint.right;
  for (const auto& [word, term] : {std::pair(words[0], left), std::pair(words[2], right)}) {
    term->text = word;
    term->parameter = space.Find(word);
    if (term->parameter >= 0) continue;
    if (InfoOfMetric(word, classes_).has_value()) {
      term->metric = word;
      reads_figures = true;
      needed_.insert(word);
      continue;
    }
    if (absl::SimpleAtod(word, &term->number) && std::isfinite(term->number)) continue;
    term->number = std::nan("");
    // A text is something that a choice before it is.
    const bool is_compared = term == right && (words[1] == "==" || words[1] == "!=");
    if (is_compared && left->parameter >= 0 &&
        HasText(space.parameters()[static_cast<size_t>(left->parameter)], word)) {
      continue;
    }
    std::vector<std::string> names = MetricNames(classes_);
    for (const SearchParameter& parameter : space.parameters()) names.push_back(parameter.name);
    return wrong(absl::StrCat("'", word, "' is no choice and no metric",
                              term == right ? ", and no number" : "", Suggest(word, names)));
  }
  const auto is_named = [](const Term& term) {
    return term.parameter >= 0 || !term.metric.empty();
  };
  if (!is_named(*left) && !is_named(*right)) return wrong("names no choice and no metric");
  for (const Term* term : {left, right}) {
    if (words[1] == "==" || words[1] == "!=" || term->parameter < 0) continue;
    if (!HasNumbers(space.parameters()[static_cast<size_t>(term->parameter)])) {
      return wrong(absl::StrCat("'", term->text, "' is a text each time; want == or !="));
    }
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
      texts.push_back(parameter.kind == SearchParameter::Kind::kCategorical
                          ? TextOf(parameter.choices[static_cast<size_t>(value)])
                          : "");
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
