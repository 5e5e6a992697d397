// What came of a search, for people and for programs.
#ifndef MASE_SEARCH_SEARCH_RESULTS_H_
#define MASE_SEARCH_SEARCH_RESULTS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/sampler/trial.h"
#include "mase/search/objective.h"
#include "mase/search/search_space.h"

namespace mase {

// Attributes of a trial (trial.h), as MASE names them: JSON.
inline constexpr char kSoftwareMetrics[] = "software_metrics";
inline constexpr char kHardwareMetrics[] = "hardware_metrics";
inline constexpr char kError[] = "error";  // Why it failed.

// As Optuna's tables and all files have it: "COMPLETE", "FAIL".
absl::string_view StateName(TrialState state);

// Puts figures there; those that are no finite numbers are left out.
void SetFigures(const TrialFigures& figures, Trial& trial);
// What SetFigures put there.
TrialFigures FiguresOfTrial(const Trial& trial);

// The best complete trials that satisfy their constraints, by number: of one objective the best
// (the first of equals), of several the Pareto front, each point of the space once. Where none
// satisfies its constraints, those that violate them least.
std::vector<const Trial*> BestTrials(absl::Span<const Trial* const> trials,
                                     absl::Span<const Direction> directions);

// Of the best trials the one in the middle: that whose objectives, each as a share of the way from
// the front's worst to its best, have the greatest sum; of equals the first. Requires one.
const Trial* Compromise(absl::Span<const Trial* const> best,
                        absl::Span<const Direction> directions);

// A row a trial: number, state, objectives, figures, choices, error.
Table TrialTable(absl::Span<const Trial* const> trials, const SearchSpace& space,
                 const Objective& objective);
// The same of the best, without what is the same of all.
Table BestTable(absl::Span<const Trial* const> best, const SearchSpace& space,
                const Objective& objective);
// A row a choice: its name and values.
Table SpaceTable(const SearchSpace& space);

// MASE's files. Without `times` they depend on nothing but what was found.
std::string LogJson(absl::Span<const Trial* const> trials, const SearchSpace& space,
                    const Objective& objective, bool times);
std::string BestJson(absl::Span<const Trial* const> best, const SearchSpace& space,
                     const Objective& objective);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_RESULTS_H_
