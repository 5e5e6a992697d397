#include "mase/search/pruner.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "mase/base/mix64.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"

namespace mase {
namespace {

using Steps = std::map<int64_t, double>;

// Less is better; what is no number is worst.
double Loss(double value, Direction direction) {
  if (std::isnan(value)) return std::numeric_limits<double>::infinity();
  return direction == Direction::kMinimize ? value : -value;
}

class MedianPruner final : public Pruner {
 public:
  MedianPruner(const PrunerSettings& settings, Direction direction)
      : settings_(settings), direction_(direction) {}

  bool ShouldPrune(const Trial& trial, const TrialHistory& finished,
                   absl::Span<const Trial>) const override {
    if (trial.intermediate.empty()) return false;
    const auto& [step, value] = *trial.intermediate.rbegin();
    if (std::isnan(value)) return true;
    if (step <= settings_.n_warmup_steps()) return false;
    if ((step - settings_.n_warmup_steps() - 1) % settings_.interval_steps() != 0) return false;
    std::vector<double> others;
    int complete = 0;
    for (const Trial* other : finished.trials()) {
      if (other->state != TrialState::kComplete) continue;
      ++complete;
      const auto found = other->intermediate.find(step);
      if (found != other->intermediate.end()) others.push_back(Loss(found->second, direction_));
    }
    if (complete < settings_.n_startup_trials() || others.empty()) return false;
    std::sort(others.begin(), others.end());
    const size_t middle = others.size() / 2;
    const double median =
        others.size() % 2 == 1 ? others[middle] : (others[middle - 1] + others[middle]) / 2;
    double best = std::numeric_limits<double>::infinity();
    for (const auto& [at, reported] : trial.intermediate) {
      best = std::min(best, Loss(reported, direction_));
    }
    return best > median;
  }

 private:
  const PrunerSettings settings_;
  const Direction direction_;
};

// What a trial had reached when it came to `resource` steps.
absl::optional<double> AtRung(const Steps& steps, double resource) {
  for (const auto& [step, value] : steps) {
    if (static_cast<double>(step) >= resource) return value;
  }
  return absl::nullopt;
}

// Successive halving among the trials for which `competes` holds, its first rung left out `skipped`
// times.
bool IsHalved(const PrunerSettings& settings, Direction direction, int skipped, const Trial& trial,
              const TrialHistory& finished, absl::Span<const Trial> running,
              const std::function<bool(int64_t number)>& competes) {
  if (trial.intermediate.empty()) return false;
  const auto& [step, value] = *trial.intermediate.rbegin();
  if (std::isnan(value)) return true;
  const double eta = settings.reduction_factor();
  double rung = static_cast<double>(settings.min_resource()) * std::pow(eta, skipped);
  for (; rung <= static_cast<double>(step); rung *= eta) {
    // The rungs before this step let it pass.
    const auto before = std::prev(trial.intermediate.end());
    if (before != trial.intermediate.begin() &&
        static_cast<double>(std::prev(before)->first) >= rung) {
      continue;
    }
    std::vector<double> losses = {Loss(value, direction)};
    const auto add = [&](const Trial& other) {
      if (other.number == trial.number || !competes(other.number)) return;
      const absl::optional<double> reached = AtRung(other.intermediate, rung);
      if (reached.has_value()) losses.push_back(Loss(*reached, direction));
    };
    for (const Trial* other : finished.trials()) {
      if (other->state != TrialState::kFailed) add(*other);
    }
    for (const Trial& other : running) add(other);
    std::sort(losses.begin(), losses.end());
    const size_t passing = std::max<size_t>(1, losses.size() / settings.reduction_factor());
    if (Loss(value, direction) > losses[passing - 1]) return true;
  }
  return false;
}

class SuccessiveHalvingPruner final : public Pruner {
 public:
  SuccessiveHalvingPruner(const PrunerSettings& settings, Direction direction)
      : settings_(settings), direction_(direction) {}

  bool ShouldPrune(const Trial& trial, const TrialHistory& finished,
                   absl::Span<const Trial> running) const override {
    return IsHalved(settings_, direction_, settings_.min_early_stopping_rate(), trial, finished,
                    running, [](int64_t) { return true; });
  }

 private:
  const PrunerSettings settings_;
  const Direction direction_;
};

class HyperbandPruner final : public Pruner {
 public:
  HyperbandPruner(const PrunerSettings& settings, Direction direction)
      : settings_(settings), direction_(direction) {
    const double eta = settings.reduction_factor();
    int brackets = 1;
    for (double resource = static_cast<double>(settings.min_resource()) * eta;
         resource <= static_cast<double>(settings.max_resource()); resource *= eta) {
      ++brackets;
    }
    // As many trials as give each bracket the same number of steps.
    for (int i = 0; i < brackets; ++i) {
      const int s = brackets - 1 - i;
      shares_.push_back(static_cast<uint64_t>(std::ceil(brackets * std::pow(eta, s) / (s + 1))));
      total_ += shares_.back();
    }
  }

  bool ShouldPrune(const Trial& trial, const TrialHistory& finished,
                   absl::Span<const Trial> running) const override {
    const int bracket = BracketOf(trial.number);
    return IsHalved(settings_, direction_, settings_.min_early_stopping_rate() + bracket, trial,
                    finished, running,
                    [&](int64_t number) { return BracketOf(number) == bracket; });
  }

 private:
  int BracketOf(int64_t number) const {
    uint64_t draw = Mix64(0, static_cast<uint64_t>(number)) % total_;
    int bracket = 0;
    while (draw >= shares_[bracket]) draw -= shares_[bracket++];
    return bracket;
  }

  const PrunerSettings settings_;
  const Direction direction_;
  std::vector<uint64_t> shares_;  // Of the brackets.
  uint64_t total_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Pruner>> MakePruner(PrunerSettings settings, Direction direction) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  switch (settings.name()) {
    case PrunerSettings::MEDIAN:
      return std::make_unique<MedianPruner>(settings, direction);
    case PrunerSettings::SUCCESSIVE_HALVING:
      return std::make_unique<SuccessiveHalvingPruner>(settings, direction);
    case PrunerSettings::HYPERBAND:
      if (settings.max_resource() < settings.min_resource()) {
        return absl::InvalidArgumentError(
            absl::StrCat("pruner hyperband: max_resource ", settings.max_resource(),
                         " is below min_resource ", settings.min_resource()));
      }
      return std::make_unique<HyperbandPruner>(settings, direction);
    default:
      return std::unique_ptr<Pruner>();
  }
}

}  // namespace mase
