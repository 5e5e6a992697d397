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

struct JunitCounts {
  size_t tests = 0, failures = 0, errors = 0;
  double seconds = 0;

  std::string Text() const {
    return absl::StrFormat("tests=\"%d\" failures=\"%d\" errors=\"%d\" time=\"%.3f\"", tests,
                           failures, errors, seconds);
  }
};

// The test case of a goal, which is counted.
std::string JunitCase(const GoalSuite& suite, const GoalReport& goal, JunitCounts& counts) {
  const std::string head = absl::StrCat("    <testcase classname=\"", Xml(suite.name), "\" name=\"",
                                        Xml(goal.goal()), "\" time=\"0\"");
  if (goal.met()) return absl::StrCat(head, "/>\n");
  const bool is_error = !goal.has_value() && goal.comment().empty();
  ++(is_error ? counts.errors : counts.failures);
  const std::string value = goal.has_value() ? absl::StrCat("it is ", WithUnit(goal)) : "";
  const char* comma = value.empty() || goal.comment().empty() ? "" : ", ";
  return absl::StrCat(head, ">\n      <", is_error ? "error" : "failure", " message=\"",
                      Xml(is_error ? suite.error : absl::StrCat(value, comma, goal.comment())),
                      "\"/>\n    </testcase>\n");
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

GoalSuite SuiteOf(absl::string_view name, const RunReport& report) {
  GoalSuite suite = {std::string(name), report.seconds(), report.error()};
  if (suite.name.empty()) {
    suite.name =
        absl::StrCat(report.action(), " ", report.model().name(), " ", report.data().name());
  }
  suite.goals.assign(report.goals().begin(), report.goals().end());
  if (suite.goals.empty() && report.status() == "failed") {
    suite.goals.emplace_back().set_goal("run");  // It ended before it knew its goals.
  }
  return suite;
}

std::string GoalsAsJunit(absl::Span<const GoalSuite> suites) {
  std::string text;
  JunitCounts all;
  for (const GoalSuite& suite : suites) {
    JunitCounts counts{.tests = suite.goals.size(), .seconds = suite.seconds};
    std::string cases;
    for (const GoalReport& goal : suite.goals) cases += JunitCase(suite, goal, counts);
    absl::StrAppend(&text, "  <testsuite name=\"", Xml(suite.name), "\" ", counts.Text(), ">\n",
                    cases, "  </testsuite>\n");
    all.tests += counts.tests, all.failures += counts.failures, all.errors += counts.errors;
    all.seconds += counts.seconds;
  }
  return absl::StrCat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites ", all.Text(), ">\n",
                      text, "</testsuites>\n");
}

}  // namespace mase
