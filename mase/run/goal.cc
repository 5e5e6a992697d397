#include "mase/run/goal.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/error_list.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/run/figure.h"

namespace mase {
namespace {

using Relation = Goal::Relation;

constexpr char kExample[] = "want FIGURE >=|<=|>|< NUMBER [UNIT], as \"accuracy >= 0.7\"";

// Longer ones first, as each is looked for in this order.
constexpr std::pair<absl::string_view, Relation> kRelations[] = {
    {">=", Relation::kAtLeast},
    {"<=", Relation::kAtMost},
    {">", Relation::kAbove},
    {"<", Relation::kBelow},
};

struct Unit {
  absl::string_view name;
  MetricKind kind;
  int power_of_ten;  // In the kind's own unit.
};
constexpr Unit kUnits[] = {
    {"points", MetricKind::kShare, -2},   {"%", MetricKind::kShare, -2},
    {"bytes", MetricKind::kBytes, 0},     {"kB", MetricKind::kBytes, 3},
    {"MB", MetricKind::kBytes, 6},        {"us", MetricKind::kMicroseconds, 0},
    {"ms", MetricKind::kMicroseconds, 3}, {"s", MetricKind::kMicroseconds, 6},
    {"us", MetricKind::kSeconds, -6},     {"ms", MetricKind::kSeconds, -3},
    {"s", MetricKind::kSeconds, 0},
};

absl::Status Wrong(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("goal '", text, "': ", what));
}

// "0.5" and -2 as the double nearest to 0.005, which 0.5 / 100 need not be.
std::optional<double> Decimal(absl::string_view text, int power_of_ten) {
  double unused;
  if (!absl::SimpleAtod(text, &unused) || !std::isfinite(unused)) return std::nullopt;
  const size_t e = text.find_first_of("eE");
  int power = 0;
  if (e != absl::string_view::npos && !absl::SimpleAtoi(text.substr(e + 1), &power)) {
    return std::nullopt;
  }
  double value;
  const std::string shifted = absl::StrCat(text.substr(0, e), "e", power + power_of_ten);
  if (!absl::SimpleAtod(shifted, &value) || !std::isfinite(value)) return std::nullopt;
  return value;
}

// What a run of this kind has figures of.
struct Expected {
  std::vector<std::string> words;   // Stages and splits.
  std::vector<std::string> passes;  // Names and labels.
  bool has_original = false;
  bool measures = true;
  int topk = 0;
};

Expected ExpectedOf(const RunConfig& config, absl::string_view action) {
  Expected expected;
  expected.words = {"train", "validation", "test"};
  for (const PassConfig& pass : config.passes()) {
    expected.passes.push_back(pass.name());
    if (!pass.label().empty()) expected.passes.push_back(pass.label());
  }
  const bool has_passes = !config.passes().empty();
  const bool evaluates = config.evaluation().enabled();
  expected.has_original =
      action == "search" ||
      (evaluates && has_passes &&
       (action == "transform" || (action == "train" && config.model().has_load_name())));
  if (expected.has_original) {
    expected.words.insert(expected.words.end(), {"original", "transformed"});
  }
  if (action == "train") expected.words.push_back("best");
  expected.measures = action != "transform" || evaluates;
  expected.topk = config.evaluation().topk();
  return expected;
}

absl::Status CheckFigure(const Goal& goal, const Expected& expected) {
  const std::string metric = goal.metric();
  if (metric.empty() && absl::c_linear_search(expected.passes, goal.figure[0])) {
    return absl::OkStatus();
  }
  std::vector<std::string> names = expected.passes;
  for (std::string& metric : MetricNames()) names.push_back(std::move(metric));
  if (metric.empty()) {
    const bool of_pass =
        goal.figure.size() > 1 && !absl::c_linear_search(expected.words, goal.figure[0]);
    const std::string& wrong = of_pass ? goal.figure[0] : goal.figure.back();
    const std::string nearest = Suggest(wrong, names);
    return Wrong(goal.text,
                 absl::StrCat("no figure '", wrong, "'",
                              nearest.empty() ? absl::StrCat("; want a pass of this run or one of ",
                                                             absl::StrJoin(MetricNames(), ", "))
                                              : nearest));
  }
  for (size_t i = 0; i + 1 < goal.figure.size(); ++i) {
    const std::string& word = goal.figure[i];
    if (absl::c_linear_search(expected.words, word)) continue;
    const std::string nearest = Suggest(word, expected.words);
    return Wrong(goal.text,
                 absl::StrCat("'", word, "' is no stage or split of this run",
                              nearest.empty()
                                  ? absl::StrCat("; it has ", absl::StrJoin(expected.words, ", "))
                                  : nearest));
  }
  if (const int k = TopKOfMetric(metric); k > 0 && k != expected.topk) {
    return Wrong(goal.text, absl::StrCat(metric, " is counted with --topk=", k));
  }
  const bool wants_original = metric == kAccuracyDrop || metric == kLossRise;
  if (wants_original && !expected.has_original) {
    return Wrong(goal.text, absl::StrCat("there is no ", metric,
                                         " where the net is not measured before and after"));
  }
  if (NeedsRows(metric) && !expected.measures) {
    return Wrong(goal.text, "nothing is measured, as evaluation.enabled is false");
  }
  return absl::OkStatus();
}

}  // namespace

std::string Goal::metric() const { return KindOfFigure(figure).has_value() ? figure.back() : ""; }

absl::StatusOr<Goal> ParseGoal(absl::string_view text) {
  Goal goal;
  goal.text = std::string(absl::StripAsciiWhitespace(text));
  const size_t at = goal.text.find_first_of("<>=");
  if (at == std::string::npos) return Wrong(goal.text, kExample);
  absl::string_view rest = absl::string_view(goal.text).substr(at);
  const auto* relation = absl::c_find_if(
      kRelations, [&](const auto& known) { return absl::StartsWith(rest, known.first); });
  if (relation == std::end(kRelations)) return Wrong(goal.text, kExample);
  goal.relation = relation->second;
  rest.remove_prefix(relation->first.size());

  const absl::string_view figure =
      absl::StripAsciiWhitespace(absl::string_view(goal.text).substr(0, at));
  goal.figure = absl::StrSplit(figure, '.');
  for (const std::string& word : goal.figure) {
    const bool plain = !word.empty() && absl::c_all_of(word, [](char c) {
      return absl::ascii_isalnum(c) || c == '_' || c == '-';
    });
    if (!plain) return Wrong(goal.text, kExample);
  }

  rest = absl::StripAsciiWhitespace(rest);
  const size_t end = rest.find_first_not_of("+-.0123456789eE");
  absl::string_view number = rest.substr(0, end);
  goal.unit = end == absl::string_view::npos
                  ? ""
                  : std::string(absl::StripAsciiWhitespace(rest.substr(end)));
  const std::string metric = goal.metric();
  const MetricKind kind = KindOfMetric(metric).value_or(MetricKind::kNumber);
  int power_of_ten = 0;
  if (!goal.unit.empty() && !number.empty()) {
    std::vector<std::string> units;
    bool known = false;
    for (const Unit& unit : kUnits) {
      if (unit.kind != kind) continue;
      units.emplace_back(unit.name);
      if (unit.name != goal.unit) continue;
      known = true;
      power_of_ten = unit.power_of_ten;
    }
    if (!known) {
      return Wrong(goal.text,
                   absl::StrCat("'", goal.unit, "' is no unit of ", figure,
                                units.empty() ? ", which has none"
                                              : absl::StrCat("; want ", absl::StrJoin(units, ", "),
                                                             " or none")));
    }
  }
  const std::optional<double> limit = Decimal(number, power_of_ten);
  if (!limit.has_value()) {
    return Wrong(goal.text, absl::StrCat("'", rest, "' is no finite number; ", kExample));
  }
  goal.limit = *limit;
  goal.unit_size = *Decimal("1", power_of_ten);
  return goal;
}

absl::StatusOr<std::vector<Goal>> ReadGoals(const RunConfig& config, absl::string_view action) {
  std::vector<Goal> goals;
  ErrorList errors;
  const Expected expected = ExpectedOf(config, action);
  for (const std::string& text : config.goals().require()) {
    absl::StatusOr<Goal> goal = ParseGoal(text);
    if (!goal.ok()) {
      errors.Add(goal.status());
      continue;
    }
    errors.Add(CheckFigure(*goal, expected));
    goals.push_back(*std::move(goal));
  }
  MASE_RETURN_IF_ERROR(errors.Combined());
  return goals;
}

}  // namespace mase
