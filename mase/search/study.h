// A study: the trials of one search, kept where several workers share them.
//
//   MASE_ASSIGN_OR_RETURN(std::unique_ptr<Study> study, Study::Open(settings, spec));
//   MASE_ASSIGN_OR_RETURN(std::vector<Trial> trials, study->Begin(1));
//   Trial trial = trials[0];
//   if (trial.point.empty()) {
//     MASE_ASSIGN_OR_RETURN(
//         trial.point, sampler->Sample(trial.number, study->history(), study->running()));
//     MASE_ASSIGN_OR_RETURN(const bool is_new, study->Choose(trial));  // False: sample again.
//   }
//   trial.state = TrialState::kComplete;
//   trial.values = {Evaluate(trial.point)};
//   MASE_RETURN_IF_ERROR(study->Finish(trial));
//   MASE_RETURN_IF_ERROR(study->Flush());
//
// A study lives in a database, in the tables of Optuna (study_tables.h): optuna.load_study,
// optuna-dashboard and Optuna's own workers open it. Any number of workers, on any machines, work
// at one study at the same time, and any of them may be killed at any instant:
//
//   - A trial's number is given once: numbers are given in transactions.
//   - A running trial has a heartbeat, which its worker's Study renews in a thread of its own. One
//     whose heartbeat stopped for `grace_period` is failed by the next worker that takes a trial,
//     and its point is put in the queue again (up to kMostRetries times), in one transaction.
//     FailOthers() does so at once, for who knows that nobody else is at the study.
//   - A trial's results are written together with its end, and only while it is still running: what
//     a worker finishes that was given up already is not written.
//   - Results are collected for up to kFlushAfter and then written in one transaction. Results that
//     were not written when a worker was killed belong to trials that still run in the database,
//     and so to such as are tried again.
//
// A database that does not answer is waited for (`timeout`), and said to be. What was not written
// is kept, also when that limit is over, and written by the next call that reaches the database.
//
// Not thread-safe: threads of one worker share a Study under one lock.
#ifndef MASE_SEARCH_STUDY_H_
#define MASE_SEARCH_STUDY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "mase/sampler/parameter.h"
#include "mase/sampler/trial.h"
#include "proto/study.pb.h"

namespace mase {

// What all workers of a study agree on.
struct StudySpec {
  std::string name;
  std::vector<Direction> directions;      // One an objective, at least one.
  std::vector<std::string> metric_names;  // As many.
  ParameterSpace space;
  bool is_there = false;  // Another worker has made it; where none has, it is not made.
};

inline constexpr int kMostRetries = 3;
inline constexpr absl::Duration kFlushAfter = absl::Milliseconds(50);

// Whether a trial failed because its worker died, not by itself. It is none of the trials that a
// search is to have.
bool DiedWithItsWorker(const Trial& trial);

class Study {
 public:
  // What a worker is told while it waits for the database, and where it makes a study beside
  // others.
  using Say = std::function<void(absl::string_view)>;

  // The study of that name, made if it is not there. Once `interrupted`, which may be null, is true
  // a database that does not answer is waited for no longer. The errors of Database::Open and, with
  // nothing changed, InvalidArgument: tables of another schema; a study of other objectives, or
  // with trials of other parameters. NotFound, with those that there are: none of that name, and it
  // should be there; or no such file.
  static absl::StatusOr<std::unique_ptr<Study>> Open(
      StorageSettings settings, StudySpec spec, Say say = nullptr,
      const std::atomic<bool>* interrupted = nullptr);
  // Writes what is not written yet, if the database answers at once.
  virtual ~Study() = default;

  const StudySpec& spec() const { return spec_; }
  // The finished trials that this worker knows of: its own, and those of others as of Refresh().
  const TrialHistory& history() const { return history_; }
  // The running ones, this worker's first. Those whose point is not chosen yet have none.
  virtual absl::Span<const Trial> running() const = 0;

  // The trials that it has of those that it is to have: finished and running ones, but none that
  // died with its worker.
  virtual int64_t begun() const = 0;

  // How many of the running ones are other workers'.
  virtual size_t running_elsewhere() const = 0;

  // Takes up to `count` trials to work at: enqueued ones first, which have their points, then new
  // ones, numbered on and without a point. No other worker gets the same. Fails trials of dead
  // workers and does what Refresh() does before.
  virtual absl::StatusOr<std::vector<Trial>> Begin(int64_t count) = 0;

  // The same, as far as it makes begun() no more than `target`, whoever else takes trials at the
  // same moment; none where the study has them all. With `only_queued` no new ones.
  virtual absl::StatusOr<std::vector<Trial>> BeginOf(int64_t target, int64_t count,
                                                     bool only_queued) = 0;

  // The trial's point is chosen: others see it. False, and nothing is chosen, where another worker
  // has a trial with that point, as happens to those that choose at the same moment; history() and
  // running() know of it then.
  virtual absl::StatusOr<bool> Choose(const Trial& trial) = 0;

  // An intermediate value, which pruners compare. A step that is there already is replaced.
  virtual absl::Status Report(int64_t number, int64_t step, double value) = 0;

  // The trial ended: complete, with as many values as objectives, pruned or failed. It is in
  // history() at once. InvalidArgument: another number of values, or one that is not a number.
  virtual absl::Status Finish(Trial trial) = 0;

  // Puts running trials of this worker, that it does not end, in the queue: whoever takes them next
  // has their numbers, and their points where these are chosen.
  virtual absl::Status GiveBack(absl::Span<const int64_t> numbers) = 0;

  // Fails all trials of other workers, as if their heartbeats had stopped long ago.
  virtual absl::Status FailOthers() = 0;

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
