#include "mase/search/winner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/search/search_results.h"

namespace mase {
namespace {

// How far a trial is from a goal, as a share of the limit; 0: met. Unset: a trial cannot tell.
std::optional<double> GoalGap(const Goal& goal, const TrialFigures& figures,
                              const TrialFigures& original) {
  if (goal.figure.size() > 1) return std::nullopt;
  const std::string metric = goal.metric();
  const auto figure = [](const TrialFigures& of, absl::string_view name) {
    const double* value = of.Find(name);
    return value == nullptr ? std::nan("") : *value;
  };
  double value;
  if (metric == "accuracy") {
    value = figure(figures, "accuracy_micro");
  } else if (metric == "accuracy_drop") {
    value = figure(original, "accuracy_micro") - figure(figures, "accuracy_micro");
  } else if (metric == "loss_rise") {
    value = figure(figures, "loss") - figure(original, "loss");
  } else {
    value = figure(figures, SearchMetricOf(metric));
  }
  if (std::isnan(value)) return std::nullopt;
  const bool below =
      goal.relation == Goal::Relation::kAtMost || goal.relation == Goal::Relation::kBelow;
  const bool strict =
      goal.relation == Goal::Relation::kAbove || goal.relation == Goal::Relation::kBelow;
  const double beyond = below ? value - goal.limit : goal.limit - value;
  const double gap = std::max(0.0, beyond) / std::max(std::abs(goal.limit), 1e-12);
  return strict && beyond == 0 ? 1e-12 : gap;
}

// The compromise by the objectives that no goal bounds, if there are such.
const Trial* ByFreeObjectives(const std::vector<const Trial*>& best, const Objective& objective,
                              absl::Span<const Goal> goals, const TrialHistory& history) {
  const auto& names = objective.names();
  std::vector<Trial> reduced;
  std::vector<Direction> directions;
  std::vector<size_t> free;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool bounded = absl::c_any_of(goals, [&](const Goal& goal) {
      const std::string metric = goal.metric();
      return absl::StartsWith(names[i], "accuracy") ? absl::StartsWith(metric, "accuracy")
                                                    : SearchMetricOf(metric) == names[i];
    });
    if (!bounded) free.push_back(i), directions.push_back(objective.directions()[i]);
  }
  if (free.empty() || free.size() == names.size()) {
    return Compromise(best, objective.directions());
  }
  std::vector<const Trial*> pointers;
  for (const Trial* trial : best) {
    Trial& copy = reduced.emplace_back();
    copy.number = trial->number;
    for (const size_t i : free) copy.values.push_back(trial->values[i]);
  }
  for (const Trial& trial : reduced) pointers.push_back(&trial);
  return history.Find(Compromise(pointers, directions)->number);
}

}  // namespace

Winner ChooseWinner(const TrialHistory& history, const Objective& objective,
                    absl::Span<const Goal> goals, const TrialFigures& original) {
  std::vector<const Trial*> meeting;
  const Trial* nearest = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Trial* trial : history.trials()) {
    if (trial->state != TrialState::kComplete || Violation(*trial) > 0) continue;
    const TrialFigures figures = FiguresOfTrial(*trial);
    double gap = 0;
    for (const Goal& goal : goals) gap += GoalGap(goal, figures, original).value_or(0);
    if (gap == 0) meeting.push_back(trial);
    if (gap < least) least = gap, nearest = trial;
  }
  if (nearest == nullptr) return {};
  if (meeting.empty()) return {nearest, "nearest to the goals, which none meets on the sample"};
  std::string why = objective.directions().size() > 1 ? "the compromise of the front" : "the best";
  if (!goals.empty()) absl::StrAppend(&why, " of ", meeting.size(), " that meet the goals");
  return {ByFreeObjectives(BestTrials(meeting, objective.directions()), objective, goals, history),
          std::move(why)};
}

absl::StatusOr<Winner> NamedWinner(const TrialHistory& history, const ParameterSpace& space,
                                   int64_t number) {
  const Trial* trial = history.Find(number);
  if (trial == nullptr) {
    return absl::NotFoundError(absl::StrCat("the study has no trial ", number, "; it has ",
                                            history.size(), " trials, from 0 on"));
  }
  // What a point leaves out would silently be as the settings have it.
  const absl::Status whole = trial->point.empty()
                                 ? absl::NotFoundError("it has no point of the search space")
                                 : space.Check(trial->point);
  if (!whole.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("trial ", number, " (", StateName(trial->state),
                                                   ") cannot be applied: ", whole.message(),
                                                   "; name another trial"));
  }
  return Winner{trial, "named by --apply"};
}

}  // namespace mase
