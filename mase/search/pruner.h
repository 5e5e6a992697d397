// Pruners: which trials are ended before they are done, by their intermediate values.
//
//   MASE_ASSIGN_OR_RETURN(std::unique_ptr<Pruner> pruner,
//                         MakePruner(settings, Direction::kMaximize));
//   trial.intermediate[epoch] = accuracy;
//   if (pruner != nullptr && pruner->ShouldPrune(trial, study->history(), study->running())) ...
//
// Whether a trial is ended is a function of its intermediate values and those of the others; the
// last of its steps is the one that is asked about. Steps count from 1: the steps of the settings
// are compared with them. A value that is no number ends the trial.
#ifndef MASE_SEARCH_PRUNER_H_
#define MASE_SEARCH_PRUNER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/sampler/trial.h"
#include "proto/study.pb.h"

namespace mase {

class Pruner {
 public:
  virtual ~Pruner() = default;

  // `running` may contain the trial itself, which does not count as another.
  virtual bool ShouldPrune(const Trial& trial, const TrialHistory& finished,
                           absl::Span<const Trial> running) const = 0;
};

// Null for NONE. Settings that are not given have their defaults.
//
//   median              worse than half of the complete trials were at that step
//   successive_halving  ASHA (Li and others: A system for massively parallel hyperparameter tuning,
//                       2020): at the steps min_resource * reduction_factor^k only the best of
//                       every reduction_factor trials that came there goes on
//   hyperband           several of these at once, which begin to end trials at different steps (Li
//                       and others: Hyperband, 2018); a trial's number tells to which it belongs
//
// InvalidArgument: a setting out of its range, max_resource below min_resource.
absl::StatusOr<std::unique_ptr<Pruner>> MakePruner(PrunerSettings settings, Direction direction);

}  // namespace mase

#endif  // MASE_SEARCH_PRUNER_H_
