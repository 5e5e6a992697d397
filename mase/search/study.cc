#include "mase/search/study.h"

#include <deque>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "mase/base/status_macros.h"
#include "mase/config/complete.h"

namespace mase {
namespace {

// A study that nobody else sees and that ends with the process.
class MemoryStudy final : public Study {
 public:
  explicit MemoryStudy(StudySpec spec) : Study(std::move(spec)) {}

  absl::Span<const Trial> running() const override { return running_; }

  absl::StatusOr<std::vector<Trial>> Begin(int64_t count) override {
    std::vector<Trial> begun;
    while (static_cast<int64_t>(begun.size()) < count) {
      Trial trial;
      if (!queue_.empty()) {
        trial = std::move(queue_.front());
        queue_.pop_front();
      } else {
        trial.number = next_++;
      }
      trial.state = TrialState::kRunning;
      trial.start = absl::Now();
      running_.push_back(trial);
      begun.push_back(std::move(trial));
    }
    return begun;
  }

  absl::Status Choose(const Trial& trial) override {
    MASE_RETURN_IF_ERROR(spec_.space.Check(trial.point));
    MASE_ASSIGN_OR_RETURN(Trial * running, FindRunning(trial.number));
    running->point = trial.point;
    return absl::OkStatus();
  }

  absl::Status Report(int64_t number, int64_t step, double value) override {
    MASE_ASSIGN_OR_RETURN(Trial * running, FindRunning(number));
    running->intermediate[step] = value;
    return absl::OkStatus();
  }

  absl::Status Finish(Trial trial) override {
    MASE_ASSIGN_OR_RETURN(Trial * running, FindRunning(trial.number));
    trial.intermediate.merge(running->intermediate);
    if (trial.complete == absl::InfinitePast()) trial.complete = absl::Now();
    running_.erase(running_.begin() + (running - running_.data()));
    history_.Add(std::move(trial));
    return absl::OkStatus();
  }

  absl::Status Enqueue(Point point) override {
    MASE_RETURN_IF_ERROR(spec_.space.Check(point));
    queue_.push_back({.number = next_++, .state = TrialState::kWaiting, .point = std::move(point)});
    return absl::OkStatus();
  }

  absl::Status Refresh() override { return absl::OkStatus(); }
  absl::Status Flush() override { return absl::OkStatus(); }

 private:
  absl::StatusOr<Trial*> FindRunning(int64_t number) {
    const auto found =
        absl::c_find_if(running_, [&](const Trial& trial) { return trial.number == number; });
    if (found == running_.end()) {
      return absl::FailedPreconditionError(absl::StrCat("trial ", number, " is not running"));
    }
    return &*found;
  }

  std::vector<Trial> running_;
  std::deque<Trial> queue_;
  int64_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Study>> Study::Open(StorageSettings settings, StudySpec spec) {
  MASE_RETURN_IF_ERROR(CompleteMessage(settings));
  if (!settings.url().empty()) return absl::UnimplementedError("only studies in memory");
  return std::make_unique<MemoryStudy>(std::move(spec));
}

}  // namespace mase
