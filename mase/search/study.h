// A study: the trials of one search, kept where several workers share them.
//
//   MASE_ASSIGN_OR_RETURN(std::unique_ptr<Study> study, Study::Open(settings, spec));
//   MASE_ASSIGN_OR_RETURN(std::vector<Trial> trials, study->Begin(1));
//   Trial trial = trials[0];
//   if (trial.point.empty()) {
//     MASE_ASSIGN_OR_RETURN(
//         trial.point, sampler->Sample(trial.number, study->history(), study->running()));
//     MASE_RETURN_IF_ERROR(study->Choose(trial));
//   }
//   trial.state = TrialState::kComplete;
//   trial.values = {Evaluate(trial.point)};
//   MASE_RETURN_IF_ERROR(study->Finish(trial));
//   MASE_RETURN_IF_ERROR(study->Flush());
//
// Not thread-safe: threads of one worker share a Study under one lock.
#ifndef MASE_SEARCH_STUDY_H_
#define MASE_SEARCH_STUDY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/search/parameter.h"
#include "mase/search/trial.h"
#include "proto/sampler.pb.h"

namespace mase {

// What all workers of a study agree on.
struct StudySpec {
  std::string name;
  std::vector<Direction> directions;      // One an objective, at least one.
  std::vector<std::string> metric_names;  // As many.
  ParameterSpace space;
};

class Study {
 public:
  // The study of that name, made if it is not there.
  static absl::StatusOr<std::unique_ptr<Study>> Open(StorageSettings settings, StudySpec spec);
  virtual ~Study() = default;

  const StudySpec& spec() const { return spec_; }
  // The finished trials that this worker knows of: its own, and those of others as of Refresh().
  const TrialHistory& history() const { return history_; }
  // The running ones, without those that the last Begin() gave and that have no point yet.
  virtual absl::Span<const Trial> running() const = 0;

  // Takes up to `count` trials to work at: enqueued ones first, which have their points, then new
  // ones, numbered on and without a point. No other worker gets the same.
  virtual absl::StatusOr<std::vector<Trial>> Begin(int64_t count) = 0;

  // The trial's point is chosen: others see it.
  virtual absl::Status Choose(const Trial& trial) = 0;

  // An intermediate value, which pruners compare. A step that is there already is replaced.
  virtual absl::Status Report(int64_t number, int64_t step, double value) = 0;

  // The trial ended: complete, with as many values as objectives, pruned or failed.
  virtual absl::Status Finish(Trial trial) = 0;

  // Puts a point in the queue. InvalidArgument if it is none of the space.
  virtual absl::Status Enqueue(Point point) = 0;

  // Brings history() and running() up to date with what others did.
  virtual absl::Status Refresh() = 0;

  // What was said so far is kept when this returns.
  virtual absl::Status Flush() = 0;

 protected:
  explicit Study(StudySpec spec) : spec_(std::move(spec)) {}

  const StudySpec spec_;
  TrialHistory history_;
};

}  // namespace mase

#endif  // MASE_SEARCH_STUDY_H_
