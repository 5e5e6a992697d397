// Which trial of a search is its result.
#ifndef MASE_SEARCH_WINNER_H_
#define MASE_SEARCH_WINNER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/run/goal.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"
#include "mase/search/objective.h"

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

// The trial that the user names. NotFound: the study has none of that number, or it has not ended.
// InvalidArgument, with the trial and why: its point is not whole, or none of the space.
absl::StatusOr<Winner> NamedWinner(const TrialHistory& history, const ParameterSpace& space,
                                   int64_t number);

}  // namespace mase

#endif  // MASE_SEARCH_WINNER_H_
