// TrialLoop: chooses trials, measures them and tells the study, on one thread or several.
#ifndef MASE_SEARCH_TRIAL_LOOP_H_
#define MASE_SEARCH_TRIAL_LOOP_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "mase/base/progress.h"
#include "mase/search/objective.h"
#include "mase/search/point_chooser.h"
#include "mase/search/pruner.h"
#include "mase/search/study.h"
#include "mase/search/trial_runner.h"

namespace mase {

// Runs the trial's point and makes it complete, with figures, values and constraints, or failed
// with the reason. Unavailable: it was not measured by no fault of the point, as where a disk is
// full.
absl::Status MeasureTrial(TrialRunner& runner, const Objective& objective, Trial& trial,
                          const EpochWatch& watch = nullptr);

struct TrialLoopOptions {
  // Trials of the study, those of earlier loops and other workers included, those that died with
  // their worker not.
  int64_t target = 0;
  int jobs = 1;
  // Trials of a batch that are chosen from what the batches before found, so that the study is the
  // same for any number of jobs; 0: each as a thread is free.
  int batch = 0;
  // Ends trials by their validation losses after each epoch of training. May be null.
  const Pruner* pruner = nullptr;
  absl::Time deadline = absl::InfiniteFuture();    // No trial begins later.
  const std::atomic<bool>* interrupted = nullptr;  // Once true, no trial begins.
};

class TrialLoop {
 public:
  // `make_runner` is called once for each thread. All outlive the loop.
  TrialLoop(const SearchContext& context, Study& study, PointChooser& chooser,
            std::function<absl::StatusOr<std::unique_ptr<TrialRunner>>()> make_runner,
            const TrialLoopOptions& options);

  // Runs until the target, the deadline or an interrupt, or until nothing is left to try. At most
  // once. Trials that were taken and not run, or that the machine did not let be measured
  // (Unavailable: a full disk, an I/O error), are given back to the study. Unknown: all trials
  // failed, and the first one why; after twenty of them none follows. ResourceExhausted: a thread
  // had no memory. Else errors of study and sampler.
  absl::Status Run();

 private:
  bool Interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }
  // Takes trials until there are none.
  absl::Status Work();
  absl::Status RunWorkers();
  absl::Status RunBatches();
  bool Ending() const;      // Whether no trial begins any more.
  absl::Status TakeSome();  // Into taken_; nothing where there is none to begin.
  // Where none is left to begin: whether others still run some, after a moment.
  bool WaitForOthers();
  // The next trial with its point; nothing where there is none to begin.
  absl::StatusOr<std::optional<Trial>> Begin();
  absl::Status Evaluate(TrialRunner& runner, Trial& trial);
  // Gives back a trial that Evaluate could not measure; the error that ends the search.
  absl::Status NotMeasured(const Trial& trial, const absl::Status& why);
  // Whether the trial is one to be ended, now that another value of it is known.
  bool Prunes(Trial& trial, int64_t step, double value);
  absl::Status Finish(Trial trial);
  // Slow trials are kept as they end, fast ones every few.
  absl::Status SaveSometimes();
  // Counts it; how many failed for its reason.
  size_t NoteFailure(const Trial& trial);
  // Each reason once, with all trials that it is the reason of. One trial's was told when it ended,
  // unless an earlier loop ran it.
  void TellFailures(bool of_earlier_loops) const;

  const SearchContext& context_;
  Reporter& reporter_;
  Study& study_;
  PointChooser& chooser_;
  const std::function<absl::StatusOr<std::unique_ptr<TrialRunner>>()> make_runner_;
  const TrialLoopOptions options_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> measuring_ns_ = 0;
  absl::Mutex mutex_;        // Guards what follows, study and chooser while threads run.
  std::deque<Trial> taken_;  // From the study, and not begun.
  std::optional<Progress> progress_;
  absl::Duration choosing_;
  absl::Time next_save_ = absl::InfinitePast();
  int64_t complete_ = 0, failed_ = 0, pruned_ = 0, best_number_ = -1;
  std::multiset<int64_t> parents_in_use_;  // Of trials that run and inherit.
  bool exhausted_ = false;                 // The space has no other point.
  bool waits_ = false;                     // For others, as was said.
  std::optional<double> best_;
  // Why trials failed, and which did.
  std::map<std::string, std::vector<int64_t>> failures_;
  std::string first_error_;
};

}  // namespace mase

#endif  // MASE_SEARCH_TRIAL_LOOP_H_
