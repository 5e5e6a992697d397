#include "mase/search/point_chooser.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr int kRedraws = 2000;              // Of points that the constraints refuse.
constexpr int kFailingRedraws = 64;         // Of points with values that always fail.
constexpr uint64_t kMostCounted = 1 << 20;  // Points of a space whose constraints are tried out.

}  // namespace

int64_t AllowedPoints(const ParameterSpace& space, const Objective& objective) {
  const auto size = space.size();
  if (!size.has_value() || *size > kMostCounted) return kMostTrials;
  int64_t allowed = 0;
  for (uint64_t i = 0; i < *size; ++i) {
    allowed += objective.Refusal(space.PointAt(i)).empty();
  }
  return allowed;
}

Point CornerPoint(const ParameterSpace& space, bool last) {
  Point point;
  for (size_t i = 0; i < space.dimensions(); ++i) {
    const SearchParameter& parameter = space[i];
    const auto size = parameter.size();
    const double value = !size.has_value() ? (last ? parameter.high : parameter.low)
                                           : parameter.ValueAt(last ? *size - 1 : 0);
    point.push_back(space.IsActive(i, point) ? value : kInactive);
  }
  return point;
}

absl::StatusOr<PointChooser> PointChooser::Create(const SamplerSettings& settings,
                                                  const ParameterSpace& space,
                                                  const Objective& objective, uint64_t seed) {
  MASE_ASSIGN_OR_RETURN(
      std::unique_ptr<Sampler> sampler,
      MakeSampler(settings, space, objective.directions(), seed, objective.error()));
  MASE_ASSIGN_OR_RETURN(const SamplerDefinition* const definition, FindSampler(settings.name()));
  if (AllocatesBits(*definition) && objective.figure_constraints() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampler ", definition->name,
                     " keeps one limit on figures, and search.search_space.constraints has ",
                     objective.figure_constraints(), "; leave one, or use tpe or nsgaii"));
  }
  return PointChooser(std::move(sampler), objective, definition->exhaustive);
}

void PointChooser::CountOutcomes(const TrialHistory& history) {
  if (history.id() != history_) {
    history_ = history.id();
    counted_ = 0;
    any_failed_ = false;
    outcomes_.clear();
  }
  for (; counted_ < history.arrivals().size(); ++counted_) {
    const Trial& trial = history.arrivals()[counted_];
    const bool failed = trial.state == TrialState::kFailed && !DiedWithItsWorker(trial);
    any_failed_ |= failed;
    for (size_t i = 0; i < trial.point.size(); ++i) {
      if (std::isnan(trial.point[i])) continue;
      Outcomes& outcomes = outcomes_[{i, trial.point[i]}];
      outcomes.failed += failed;
      outcomes.complete += trial.state == TrialState::kComplete;
    }
  }
}

bool PointChooser::FailsAlways(absl::Span<const double> point) const {
  if (!any_failed_ || exhaustive_) return false;
  for (size_t i = 0; i < point.size(); ++i) {
    const auto found = outcomes_.find({i, point[i]});
    if (std::isnan(point[i]) || found == outcomes_.end()) continue;
    if (found->second.failed >= kFailuresOfAValue && found->second.complete == 0) return true;
  }
  return false;
}

absl::StatusOr<std::optional<Point>> PointChooser::Choose(int64_t number, const Study& study) {
  if (!exhaustive_) refused_.clear();
  CountOutcomes(study.history());
  std::string refusal;
  std::optional<Point> failing;  // Where there is no other.
  int failing_draws = 0;
  for (int draw = 0; draw < kRedraws && failing_draws < kFailingRedraws; ++draw) {
    std::vector<Trial> running(study.running().begin(), study.running().end());
    running.insert(running.end(), refused_.begin(), refused_.end());
    absl::StatusOr<Point> point = sampler_->Sample(number, study.history(), running);
    if (absl::IsOutOfRange(point.status())) return failing;
    MASE_RETURN_IF_ERROR(point.status());
    refusal = objective_->Refusal(*point);
    if (refusal.empty()) {
      if (!FailsAlways(*point)) return std::optional<Point>(*std::move(point));
      if (!failing.has_value()) failing = *point;
      ++failing_draws;
    }
    Trial& refused = refused_.emplace_back();
    refused.number = number + kMostTrials + draw;
    refused.point = *std::move(point);
  }
  if (failing.has_value()) return failing;
  return absl::InvalidArgumentError(absl::StrCat(kRedraws, " points in a row violate \"", refusal,
                                                 "\"; widen the space or the constraint"));
}

}  // namespace mase
