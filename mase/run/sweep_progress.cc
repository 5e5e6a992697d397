#include "mase/run/sweep_progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/progress_text.h"

namespace mase {

SweepProgress::SweepProgress(size_t runs, Terminal terminal)
    : runs_(runs), terminal_(std::move(terminal)) {
  if (terminal_.seconds) begun_s_ = terminal_.seconds();
}

Terminal SweepProgress::Begin(size_t run) {
  const absl::MutexLock lock(&mutex_);
  running_.insert(run);
  Terminal of_run = terminal_;
  if (!terminal_.seconds) return of_run;
  of_run.write = [this, run](absl::string_view line) { Draw(run, line); };
  return of_run;
}

void SweepProgress::End(size_t run) {
  const absl::MutexLock lock(&mutex_);
  running_.erase(run);
  ++ended_;
}

void SweepProgress::Clear() {
  const absl::MutexLock lock(&mutex_);
  if (drawn_) terminal_.write(kEraseLine);
  drawn_ = false;
}

std::string SweepProgress::Front() const {
  const size_t done = kept_ + ended_;
  std::string left;
  if (ended_ > 0) {
    const double each = (terminal_.seconds() - begun_s_) / static_cast<double>(ended_);
    left = absl::StrCat(", ", ClockText(each * static_cast<double>(runs_ - done)), " left");
  }
  return absl::StrCat("[", std::min(done + 1, runs_), "/", runs_, left, "] ");
}

void SweepProgress::Draw(size_t run, absl::string_view line) {
  const absl::MutexLock lock(&mutex_);
  if (running_.empty() || *running_.begin() != run) return;
  const bool interactive = absl::ConsumePrefix(&line, kEraseLine);
  if (line.empty()) {
    if (drawn_) terminal_.write(kEraseLine);
    drawn_ = false;
    return;
  }
  std::string whole = absl::StrCat(Front(), line);
  if (interactive) {
    whole.resize(std::min(whole.size(), static_cast<size_t>(std::max(terminal_.columns - 1, 0))));
    drawn_ = true;
  }
  terminal_.write(interactive ? absl::StrCat(kEraseLine, whole) : whole);
}

}  // namespace mase
