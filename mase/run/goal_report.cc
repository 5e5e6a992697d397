#include "mase/run/goal_report.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "mase/base/status_macros.h"
#include "mase/data/dataset.h"
#include "mase/run/figure.h"

namespace mase {
namespace {

using Relation = Goal::Relation;

// A number as people read it, whole ones with commas.
std::string Shown(double value) {
  if (std::trunc(value) == value && std::abs(value) < 1e15) {
    return WithCommas(static_cast<int64_t>(value));
  }
  return absl::StrFormat("%.6g", value);
}

std::string WithUnit(const GoalReport& goal) {
  return absl::StrCat(Shown(goal.value()), goal.unit().empty() ? "" : " ", goal.unit());
}

bool Holds(Relation relation, double value, double limit) {
  switch (relation) {
    case Relation::kAtLeast:
      return value >= limit;
    case Relation::kAtMost:
      return value <= limit;
    case Relation::kAbove:
      return value > limit;
    case Relation::kBelow:
      return value < limit;
  }
  return false;
}

std::string Xml(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const bool forbidden = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
    escaped.push_back(forbidden ? '?' : c);
  }
  return absl::StrReplaceAll(escaped,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

}  // namespace

void SetGoals(absl::Span<const Goal> goals, RunReport& report) {
  report.clear_goals();
  for (const Goal& goal : goals) {
    GoalReport* entry = report.add_goals();
    entry->set_goal(goal.text);
    entry->set_unit(goal.unit);
  }
}

bool NeedsMetric(const RunReport& report, absl::string_view metric) {
  return absl::c_any_of(report.goals(), [&](const GoalReport& entry) {
    const absl::StatusOr<Goal> goal = ParseGoal(entry.goal());
    return goal.ok() && goal->metric() == metric;
  });
}

absl::Status MeasureGoals(RunReport& report) {
  std::vector<std::string> missed;
  for (int i = 0; i < report.goals_size(); ++i) {
    GoalReport* entry = report.mutable_goals(i);
    MASE_ASSIGN_OR_RETURN(const Goal goal, ParseGoal(entry->goal()));
    const absl::StatusOr<Figure> figure = FindFigure(goal.figure, report);
    if (figure.ok() && std::isfinite(figure->value)) {
      const bool from_below =
          goal.relation == Relation::kAtLeast || goal.relation == Relation::kAbove;
      const double margin = from_below ? figure->value - goal.limit : goal.limit - figure->value;
      entry->set_value(figure->value / goal.unit_size);
      entry->set_margin(margin / goal.unit_size);
      entry->set_met(Holds(goal.relation, figure->value, goal.limit));
      entry->set_comment(figure->comment);
    } else {
      entry->set_comment(absl::StrCat(
          "not known: ", figure.ok() ? "it is no finite number" : figure.status().message()));
    }
    if (entry->met()) continue;
    missed.push_back(entry->has_value() ? absl::StrCat(goal.text, " (it is ", WithUnit(*entry), ")")
                                        : absl::StrCat(goal.text, " (", entry->comment(), ")"));
  }
  if (missed.empty()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(missed.size() == 1 ? "a goal was" : "goals were",
                                         " not met: ", absl::StrJoin(missed, "; ")));
}

Table GoalTable(const RunReport& report) {
  Table table("goals", "Goals",
              {{"goal"}, {"value"}, {.name = "margin", .signs = true}, {"met"}, {"comment"}});
  for (const GoalReport& goal : report.goals()) {
    table.AddRow({goal.goal(), goal.has_value() ? Cell(goal.value()) : Cell(),
                  goal.has_margin() ? Cell(goal.margin()) : Cell(), goal.met(), goal.comment()});
  }
  return table;
}

std::string GoalsAsJunit(const RunReport& report) {
  const std::string suite =
      absl::StrCat(report.action(), " ", report.model().name(), " ", report.data().name());
  std::string cases;
  int failures = 0, errors = 0;
  const auto add_case = [&](const GoalReport& goal, absl::string_view outcome) {
    absl::StrAppend(&cases, "    <testcase classname=\"", Xml(suite), "\" name=\"",
                    Xml(goal.goal()), "\" time=\"0\"");
    absl::StrAppend(&cases, outcome.empty()
                                ? "/>\n"
                                : absl::StrCat(">\n      ", outcome, "\n    </testcase>\n"));
  };
  for (const GoalReport& goal : report.goals()) {
    if (goal.met()) {
      add_case(goal, "");
    } else if (!goal.has_value() && goal.comment().empty()) {
      ++errors;
      add_case(goal, absl::StrCat("<error message=\"", Xml(report.error()), "\"/>"));
    } else {
      ++failures;
      const std::string value = goal.has_value() ? absl::StrCat("it is ", WithUnit(goal)) : "";
      const char* comma = value.empty() || goal.comment().empty() ? "" : ", ";
      add_case(goal, absl::StrCat("<failure message=\"",
                                  Xml(absl::StrCat(value, comma, goal.comment())), "\"/>"));
    }
  }
  const std::string counts =
      absl::StrFormat("tests=\"%d\" failures=\"%d\" errors=\"%d\" time=\"%.3f\"",
                      report.goals_size(), failures, errors, report.seconds());
  return absl::StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites ", counts,
                      ">\n  <testsuite name=\"", Xml(suite), "\" ", counts, ">\n", cases,
                      "  </testsuite>\n</testsuites>\n");
}

}  // namespace mase
