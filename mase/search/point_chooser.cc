#include "mase/search/point_chooser.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr int kRedraws = 2000;              // Of points that the constraints refuse.
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
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<Sampler> sampler,
                        MakeSampler(settings, space, objective.directions(), seed));
  return PointChooser(std::move(sampler), objective, settings.name() == SamplerSettings::GRID);
}

absl::StatusOr<std::optional<Point>> PointChooser::Choose(int64_t number, const Study& study) {
  if (!is_grid_) refused_.clear();
  std::string refusal;
  for (int draw = 0; draw < kRedraws; ++draw) {
    std::vector<Trial> running(study.running().begin(), study.running().end());
    running.insert(running.end(), refused_.begin(), refused_.end());
    absl::StatusOr<Point> point = sampler_->Sample(number, study.history(), running);
    if (absl::IsOutOfRange(point.status())) return std::optional<Point>();
    MASE_RETURN_IF_ERROR(point.status());
    refusal = objective_->Refusal(*point);
    if (refusal.empty()) return std::optional<Point>(*std::move(point));
    Trial& refused = refused_.emplace_back();
    refused.number = number + kMostTrials + draw;
    refused.point = *std::move(point);
  }
  return absl::InvalidArgumentError(absl::StrCat(kRedraws, " points in a row violate \"", refusal,
                                                 "\"; widen the space or the constraint"));
}

}  // namespace mase
