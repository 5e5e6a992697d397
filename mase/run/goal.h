// Goals: figures that a run is to reach, as the settings have them (GoalsConfig).
//
//   [goals]
//   require = ["accuracy >= 0.70", "accuracy_drop <= 0.5 points", "bytes <= 2000",
//              "test.loss <= 1.1", "calculate_bitops.total.forward_bitops <= 2e6"]
//
// A goal is FIGURE RELATION NUMBER [UNIT]; the relation is one of >=, <=, > and <, and figure.h
// tells what a figure is.
//
// Units: % and points (both hundredths of a share), bytes, kB, MB, us, ms, s; without one the
// number is in the figure's own, which is a share for accuracies, bytes for bytes, microseconds for
// latency_us.
//
// What is a count over rows is compared as the quotient of the counts in double, not by the float32
// that MASE prints: 709 of 1,000 rows meets accuracy >= 0.709.
#ifndef MASE_RUN_GOAL_H_
#define MASE_RUN_GOAL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/config.pb.h"

namespace mase {

struct Goal {
  enum class Relation { kAtLeast, kAtMost, kAbove, kBelow };

  std::string text;                 // As it was given.
  std::vector<std::string> figure;  // {"original", "accuracy"}
  Relation relation = Relation::kAtLeast;
  double limit = 0;      // In the figure's own unit.
  std::string unit;      // As it was given, or the figure's own: "points", "bytes", "".
  double unit_size = 1;  // In the figure's own: 0.01 of points.

  // The metric, without words in front; "" if the figure is a pass's.
  std::string metric() const;
};

// InvalidArgument, with an example, for what is no goal: another form, a number that is none or not
// finite, a unit that the figure does not have.
absl::StatusOr<Goal> ParseGoal(absl::string_view text);

// The goals of the settings. InvalidArgument, with the nearest name, for each that is no goal, or
// whose figure this run cannot have: `action` and the passes of the settings tell.
absl::StatusOr<std::vector<Goal>> ReadGoals(const RunConfig& config, absl::string_view action);

}  // namespace mase

#endif  // MASE_RUN_GOAL_H_
