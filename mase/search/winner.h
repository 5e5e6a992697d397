// Which trial of a search is its result.
#ifndef MASE_SEARCH_WINNER_H_
#define MASE_SEARCH_WINNER_H_

#include <string>

#include "absl/types/span.h"
#include "mase/run/goal.h"
#include "mase/search/objective.h"
#include "mase/search/trial.h"

namespace mase {

struct Winner {
  const Trial* trial = nullptr;  // Null: no trial satisfies the constraints.
  std::string why;               // "the best of 5 that meet the goals", for people.
};

// Of the complete trials that satisfy their constraints and, on the sample, the goals: the best; of
// several objectives the compromise of the front by those that no goal bounds. Where none meets the
// goals the nearest, by the sum of how far each goal is missed as a share of its limit. Goals that
// a trial cannot tell (of a split, of a pass) are left to the report. `original` are the figures of
// the net as it came.
Winner ChooseWinner(const TrialHistory& history, const Objective& objective,
                    absl::Span<const Goal> goals, const TrialFigures& original);

}  // namespace mase

#endif  // MASE_SEARCH_WINNER_H_
