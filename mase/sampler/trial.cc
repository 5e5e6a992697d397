#include "mase/sampler/trial.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/algorithm/container.h"

namespace mase {
namespace {

uint64_t NextId() {
  static std::atomic<uint64_t> next{1};
  return next++;
}

}  // namespace

bool IsFinished(TrialState state) {
  return state != TrialState::kRunning && state != TrialState::kWaiting;
}

double Violation(const Trial& trial) {
  double sum = 0;
  for (double constraint : trial.constraints) sum += std::max(constraint, 0.0);
  return sum;
}

std::vector<double> Losses(const Trial& trial, absl::Span<const Direction> directions) {
  std::vector<double> losses = trial.values;
  for (size_t i = 0; i < losses.size() && i < directions.size(); ++i) {
    if (directions[i] == Direction::kMaximize) losses[i] = -losses[i];
  }
  return losses;
}

TrialHistory::TrialHistory() : id_(NextId()) {}

void TrialHistory::Add(Trial trial) {
  arrivals_.push_back(std::move(trial));
  const Trial* added = &arrivals_.back();
  // Trials come nearly in order: the place is near the end.
  auto at = by_number_.end();
  while (at != by_number_.begin() && (*std::prev(at))->number > added->number) --at;
  by_number_.insert(at, added);
}

const Trial* TrialHistory::Find(int64_t number) const {
  const auto found = absl::c_lower_bound(
      by_number_, number, [](const Trial* trial, int64_t n) { return trial->number < n; });
  return found != by_number_.end() && (*found)->number == number ? *found : nullptr;
}

}  // namespace mase
