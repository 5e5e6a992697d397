// What becomes of a run's goals (goal.h): a report carries them from the beginning, and at the end
// what was reached.
#ifndef MASE_RUN_GOAL_REPORT_H_
#define MASE_RUN_GOAL_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/run/goal.h"
#include "proto/report.pb.h"

namespace mase {

// Makes them the report's, not measured yet.
void SetGoals(absl::Span<const Goal> goals, RunReport& report);

// True if a goal of the report needs this metric ("latency_us") of some stage.
bool NeedsMetric(const RunReport& report, absl::string_view metric);

// Compares the report's goals with what it says of the run. Aborted, naming them, if any is missed;
// a figure that the report does not have misses its goal, and its comment says why.
absl::Status MeasureGoals(RunReport& report);

// The goals of a report as people see them: goal, value, margin, met, comment.
Table GoalTable(const RunReport& report);

// The goals of one run among others.
struct GoalSuite {
  std::string name;
  double seconds = 0;
  std::string error;  // Of the run; "" where there was none.
  std::vector<GoalReport> goals;
};

// Those of a report. The name "" stands for action, net and data set: "transform jsc-tiny jsc". A
// run that failed before it knew its goals has one, "run", that was not measured.
GoalSuite SuiteOf(absl::string_view name, const RunReport& report);

// Goals as JUnit XML, which build servers show: one test case a goal. Those that were not measured,
// as the run ended before, are errors with the suite's.
std::string GoalsAsJunit(absl::Span<const GoalSuite> suites);

}  // namespace mase

#endif  // MASE_RUN_GOAL_REPORT_H_
