// Trials: points of a search space and what was found there.
#ifndef MASE_SAMPLER_TRIAL_H_
#define MASE_SAMPLER_TRIAL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "mase/sampler/parameter.h"

namespace mase {

enum class Direction { kMinimize, kMaximize };

// As Optuna has them. Waiting: enqueued, and nobody works at it. Pruned: ended early, its
// intermediate values say where. Complete, pruned and failed trials are finished.
enum class TrialState { kRunning, kComplete, kPruned, kFailed, kWaiting };

struct Trial {
  int64_t number = -1;  // 0, 1, ... in its study.
  TrialState state = TrialState::kRunning;
  Point point;                                    // Empty: not chosen yet.
  std::vector<double> values;                     // One an objective, of complete trials.
  std::vector<double> constraints;                // <= 0: satisfied.
  std::map<int64_t, double> intermediate;         // By step.
  std::map<std::string, std::string> attributes;  // JSON text by key: Optuna's user attributes.
  absl::Time start = absl::InfinitePast();
  absl::Time complete = absl::InfinitePast();
};

bool IsFinished(TrialState state);

// The sum of what its constraints are above 0; 0: feasible.
double Violation(const Trial& trial);

// The values as losses: those to maximize with the other sign.
std::vector<double> Losses(const Trial& trial, absl::Span<const Direction> directions);

// The finished trials of a study. It only grows; what is derived from it can be kept as long as
// id() is the same and brought up to date by the arrivals since.
class TrialHistory {
 public:
  TrialHistory();
  TrialHistory(const TrialHistory&) = delete;
  TrialHistory& operator=(const TrialHistory&) = delete;

  // Requires a finished trial whose number is not there yet.
  void Add(Trial trial);

  size_t size() const { return by_number_.size(); }
  bool empty() const { return by_number_.empty(); }
  // Ordered by number.
  absl::Span<const Trial* const> trials() const { return by_number_; }
  // In the order in which they were added. References stay valid.
  const std::deque<Trial>& arrivals() const { return arrivals_; }
  // The trial with that number; null.
  const Trial* Find(int64_t number) const;
  // Of this history and no other of the process.
  uint64_t id() const { return id_; }

 private:
  uint64_t id_;
  std::deque<Trial> arrivals_;
  std::vector<const Trial*> by_number_;
};

}  // namespace mase

#endif  // MASE_SAMPLER_TRIAL_H_
