#include "mase/search/trial_loop.h"

#include <algorithm>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/threads.h"
#include "mase/search/inheritance.h"
#include "mase/search/search_results.h"

namespace mase {
namespace {

constexpr int64_t kFailuresInARow = 20;  // From the first trial on: then the search ends.
// Fast trials are taken from the study so many at a time, as each taking is a transaction.
constexpr int64_t kBlock = 32;
constexpr int64_t kFastTrialNanoseconds = 2'000'000;
constexpr absl::Duration kLookAgainAfter = absl::Milliseconds(200);  // For trials of others.
constexpr size_t kMostReasons = 8;                                   // Of failures, that are told,
constexpr size_t kMostNumbers = 12;                                  // and trials of each.
constexpr char kInterrupted[] = "\"interrupted\"";
constexpr char kNoPointLeft[] = "\"there was no point left\"";

// What leaves a thread as an exception ends the process.
absl::Status Guarded(absl::FunctionRef<absl::Status()> work) {
  try {
    return work();
  } catch (const std::bad_alloc& error) {
    return OutOfMemory(error);
  }
}

}  // namespace

absl::Status MeasureTrial(TrialRunner& runner, const Objective& objective, Trial& trial,
                          const EpochWatch& watch) {
  const absl::StatusOr<TrialFigures> figures = runner.Run(trial, watch);
  absl::Status status = figures.status();
  if (figures.ok()) {
    SetFigures(*figures, trial);
    absl::StatusOr<std::vector<double>> values = objective.ValuesOf(*figures);
    status = values.status();
    if (values.ok()) {
      trial.values = *std::move(values);
      trial.constraints = objective.ConstraintsOf(*figures);
    }
  }
  trial.state = status.ok() ? TrialState::kComplete : TrialState::kFailed;
  if (!status.ok()) {
    // What a training's error advises after its first line is for a run whose folder stays.
    const std::vector<std::string> lines =
        absl::StrSplit(status.message(), absl::MaxSplits('\n', 1));
    trial.attributes[kError] = ChoiceJson(lines[0]);
  }
  if (absl::IsCancelled(status)) trial.attributes[kError] = kInterrupted;
  return absl::IsUnavailable(status) ? status : absl::OkStatus();
}

TrialLoop::TrialLoop(const SearchContext& context, Study& study, PointChooser& chooser,
                     std::function<absl::StatusOr<std::unique_ptr<TrialRunner>>()> make_runner,
                     const TrialLoopOptions& options)
    : context_(context),
      reporter_(context.environment.reporter),
      study_(study),
      chooser_(chooser),
      make_runner_(std::move(make_runner)),
      options_(options) {
  for (const Trial* trial : study.history().trials()) {
    complete_ += trial->state == TrialState::kComplete;
    if (trial->state != TrialState::kFailed || DiedWithItsWorker(*trial)) continue;
    const auto error = trial->attributes.find(kError);
    if (error == trial->attributes.end() || error->second != kNoPointLeft) NoteFailure(*trial);
  }
}

absl::Status TrialLoop::Run() {
  const int64_t known = static_cast<int64_t>(study_.history().size());
  const absl::Time began = absl::Now();
  progress_.emplace("search", options_.target, "trial", reporter_.progress());
  const absl::Status status = options_.batch > 0   ? RunBatches()
                              : options_.jobs <= 1 ? Work()
                                                   : RunWorkers();
  progress_.reset();
  std::vector<int64_t> unused;  // After an interrupt or the deadline.
  for (const Trial& trial : taken_) unused.push_back(trial.number);
  taken_.clear();
  MASE_RETURN_IF_ERROR(study_.GiveBack(unused));
  MASE_RETURN_IF_ERROR(status);
  const int64_t tried = static_cast<int64_t>(study_.history().size()) - known;
  if (tried > 0) {
    reporter_.Info(absl::StrFormat(
        "%d trials in %.2f s; of each %.3f ms to choose it and %.3f ms to measure it", tried,
        absl::ToDoubleSeconds(absl::Now() - began),
        absl::ToDoubleMilliseconds(choosing_) / static_cast<double>(tried),
        static_cast<double>(measuring_ns_) / 1e6 / static_cast<double>(tried)));
    if (pruned_ > 0) reporter_.Info(absl::StrCat(pruned_, " of them were pruned"));
  }
  TellFailures(/*of_earlier_loops=*/tried == 0);
  if (complete_ > 0 || Interrupted()) return absl::OkStatus();
  return absl::UnknownError(
      absl::StrCat("all ", study_.history().size(), " trials failed; the first: ", first_error_));
}

absl::Status TrialLoop::Work() {
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<TrialRunner> runner, make_runner_());
  for (;;) {
    std::optional<Trial> trial;
    {
      const absl::MutexLock lock(&mutex_);
      MASE_ASSIGN_OR_RETURN(trial, Begin());
    }
    if (!trial.has_value()) {
      if (!WaitForOthers()) return absl::OkStatus();
      continue;
    }
    const absl::Status measured = Evaluate(*runner, *trial);
    const absl::MutexLock lock(&mutex_);
    if (!measured.ok()) return NotMeasured(*trial, measured);
    MASE_RETURN_IF_ERROR(Finish(*std::move(trial)));
    MASE_RETURN_IF_ERROR(SaveSometimes());
  }
}

absl::Status TrialLoop::RunWorkers() {
  std::vector<std::thread> threads;
  std::vector<absl::Status> ends(static_cast<size_t>(options_.jobs));
  for (int i = 0; i < options_.jobs; ++i) {
    threads.emplace_back([this, i, &ends] {
      const ThreadShare share(options_.jobs);
      ends[i] = Guarded([this] { return Work(); });
      if (!ends[i].ok()) stop_ = true;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& end : ends) MASE_RETURN_IF_ERROR(end);
  return absl::OkStatus();
}

// All trials of a batch are chosen from what the batches before it found.
absl::Status TrialLoop::RunBatches() {
  const int workers = std::min(options_.jobs, options_.batch);
  std::vector<std::unique_ptr<TrialRunner>> runners;
  for (int i = 0; i < workers; ++i) {
    MASE_ASSIGN_OR_RETURN(auto runner, make_runner_());
    runners.push_back(std::move(runner));
  }
  for (;;) {
    std::vector<Trial> batch;
    while (static_cast<int>(batch.size()) < options_.batch) {
      MASE_ASSIGN_OR_RETURN(std::optional<Trial> trial, Begin());
      if (!trial.has_value()) break;
      trial->start = trial->complete = absl::UnixEpoch();
      batch.push_back(*std::move(trial));
    }
    if (batch.empty()) {
      if (!WaitForOthers()) return absl::OkStatus();
      continue;
    }
    std::atomic<size_t> next = 0;
    std::vector<absl::Status> ends(static_cast<size_t>(workers)), measured(batch.size());
    const auto work = [&](int worker) {
      const ThreadShare share(workers);
      ends[worker] = Guarded([&] {
        for (size_t i = next++; i < batch.size(); i = next++) {
          measured[i] = Evaluate(*runners[worker], batch[i]);
        }
        return absl::OkStatus();
      });
    };
    std::vector<std::thread> threads;
    for (int i = 1; i < workers; ++i) {
      threads.emplace_back(work, i);
    }
    work(0);
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& end : ends) MASE_RETURN_IF_ERROR(end);
    absl::Status status;
    for (size_t i = 0; i < batch.size(); ++i) {
      status.Update(measured[i].ok() ? Finish(std::move(batch[i]))
                                     : NotMeasured(batch[i], measured[i]));
    }
    MASE_RETURN_IF_ERROR(status);
    MASE_RETURN_IF_ERROR(SaveSometimes());
  }
}

bool TrialLoop::Ending() const {
  const bool hopeless = complete_ == 0 && failed_ >= kFailuresInARow;
  return stop_ || Interrupted() || hopeless || absl::Now() >= options_.deadline;
}

absl::Status TrialLoop::TakeSome() {
  const bool has_all = exhausted_ || study_.begun() >= options_.target;
  // Those that others run may come into the queue.
  if (has_all && study_.running_elsewhere() == 0) return absl::OkStatus();
  const bool fast =
      complete_ > kBlock && measuring_ns_ / (complete_ + failed_) < kFastTrialNanoseconds;
  MASE_ASSIGN_OR_RETURN(const std::vector<Trial> trials,
                        study_.BeginOf(options_.target, fast ? kBlock : 1, exhausted_));
  taken_.assign(trials.begin(), trials.end());
  return absl::OkStatus();
}

bool TrialLoop::WaitForOthers() {
  {
    const absl::MutexLock lock(&mutex_);
    if (Ending() || study_.running_elsewhere() == 0) return false;
    if (!waits_) {
      reporter_.Info(absl::StrCat("waiting for ", study_.running_elsewhere(),
                                  " trials that other workers run, as they may die"));
    }
    waits_ = true;
  }
  absl::SleepFor(kLookAgainAfter);
  return true;
}

absl::StatusOr<std::optional<Trial>> TrialLoop::Begin() {
  const auto none = std::optional<Trial>();
  if (Ending()) return none;
  if (taken_.empty()) {
    MASE_RETURN_IF_ERROR(TakeSome());
    if (taken_.empty()) return none;
  }
  Trial trial = std::move(taken_.front());
  taken_.pop_front();
  for (bool chosen = !trial.point.empty(); !chosen;) {
    const absl::Time before = absl::Now();
    MASE_ASSIGN_OR_RETURN(std::optional<Point> point, chooser_.Choose(trial.number, study_));
    choosing_ += absl::Now() - before;
    if (!point.has_value()) {  // Other workers took the last.
      trial.state = TrialState::kFailed;
      trial.attributes[kError] = kNoPointLeft;
      MASE_RETURN_IF_ERROR(study_.Finish(std::move(trial)));
      exhausted_ = true;
      return none;
    }
    trial.point = *std::move(point);
    MASE_ASSIGN_OR_RETURN(chosen, study_.Choose(trial));
  }
  if (context_.inherits()) {
    ChooseParent(study_.history(), context_.directory, trial);
    if (const std::optional<int64_t> parent = ParentOf(trial)) parents_in_use_.insert(*parent);
  }
  return std::optional<Trial>(std::move(trial));
}

absl::Status TrialLoop::Evaluate(TrialRunner& runner, Trial& trial) {
  const absl::Time before = absl::Now();
  EpochWatch watch;
  bool pruned = false;
  if (options_.pruner != nullptr) {
    watch = [&](int64_t epochs, double loss) { return !(pruned = Prunes(trial, epochs, loss)); };
  }
  const absl::Status measured = MeasureTrial(runner, context_.objective, trial, watch);
  if (pruned) {
    trial.state = TrialState::kPruned;
    trial.attributes.erase(kError);
  }
  measuring_ns_ += absl::ToInt64Nanoseconds(absl::Now() - before);
  return measured;
}

absl::Status TrialLoop::NotMeasured(const Trial& trial, const absl::Status& why) {
  // Where this fails, too, the trial is that of a worker that died, for the command that goes on.
  study_.GiveBack({trial.number}).IgnoreError();
  stop_ = true;
  return Annotate(why, absl::StrCat("trial ", trial.number));
}

bool TrialLoop::Prunes(Trial& trial, int64_t step, double value) {
  const absl::MutexLock lock(&mutex_);
  trial.intermediate[step] = value;
  // A database that does not answer is told of where the trial ends.
  study_.Report(trial.number, step, value).IgnoreError();
  // What trials of the same batch have reached is not the same for any number of jobs.
  const absl::Span<const Trial> none;
  return options_.pruner->ShouldPrune(trial, study_.history(),
                                      options_.batch > 0 ? none : study_.running());
}

absl::Status TrialLoop::Finish(Trial trial) {
  if (const std::optional<int64_t> parent = ParentOf(trial)) {
    const auto used = parents_in_use_.find(*parent);
    if (used != parents_in_use_.end()) parents_in_use_.erase(used);
  }
  if (trial.state == TrialState::kFailed && trial.attributes[kError] == kInterrupted) {
    return study_.GiveBack({trial.number});  // For the command that goes on.
  }
  complete_ += trial.state == TrialState::kComplete;
  pruned_ += trial.state == TrialState::kPruned;
  if (trial.state == TrialState::kFailed) {
    if (NoteFailure(trial) == 1 && failures_.size() <= kMostReasons) {
      reporter_.Warn(
          absl::StrCat("trial ", trial.number, " failed: ", trial.attributes.at(kError)));
    }
  }
  const bool single = context_.objective.directions().size() == 1;
  if (single && !trial.values.empty() && Violation(trial) == 0) {
    const bool maximize = context_.objective.directions()[0] == Direction::kMaximize;
    const bool better =
        !best_.has_value() || (maximize ? trial.values[0] > *best_ : trial.values[0] < *best_);
    if (better) best_ = trial.values[0], best_number_ = trial.number;
  }
  MASE_RETURN_IF_ERROR(study_.Finish(std::move(trial)));
  if (context_.inherits()) {
    DropTrainedNets(study_.history(), parents_in_use_, context_.directory);
  }
  progress_->Update(static_cast<int64_t>(study_.history().size()), [this] {
    std::string text;
    if (best_.has_value()) text = absl::StrFormat("best %.4g (trial %d)", *best_, best_number_);
    if (failed_ > 0) absl::StrAppend(&text, " ", failed_, " failed");
    return text;
  });
  return absl::OkStatus();
}

size_t TrialLoop::NoteFailure(const Trial& trial) {
  const auto found = trial.attributes.find(kError);
  const std::string error = found == trial.attributes.end() ? "" : found->second;
  if (failed_++ == 0) first_error_ = absl::StrCat("trial ", trial.number, ": ", error);
  std::vector<int64_t>& alike = failures_[error];
  alike.push_back(trial.number);
  return alike.size();
}

void TrialLoop::TellFailures(bool of_earlier_loops) const {
  if (failures_.empty()) return;
  std::string text;
  size_t count = 0, reasons = 0;
  for (const auto& [error, trials] : failures_) {
    count += trials.size();
    if (++reasons > kMostReasons) continue;
    const size_t shown = std::min(trials.size(), kMostNumbers);
    absl::StrAppend(&text, "\n  ", trials.size() == 1 ? "trial " : "trials ",
                    absl::StrJoin(trials.begin(), trials.begin() + shown, ", "),
                    shown < trials.size() ? ", ..." : "", ": ", error);
  }
  if (reasons > kMostReasons) {
    absl::StrAppend(&text, "\n  and ", reasons - kMostReasons, " more reasons");
  }
  if (count < 2 && !of_earlier_loops) return;
  reporter_.Warn(absl::StrCat(count, count == 1 ? " trial" : " trials",
                              " failed (trials.csv has all):", text));
}

// Slow trials are kept as they end, fast ones every few.
absl::Status TrialLoop::SaveSometimes() {
  const absl::Time now = absl::Now();
  if (now < next_save_) return absl::OkStatus();
  next_save_ = now + absl::Seconds(1);
  return study_.Flush();
}

}  // namespace mase
