// The line of progress of a sweep: that of a run that goes on, behind how far the sweep is.
//
//   [3/20, 01:08 left] epoch 3/20  45% 1388/3084 batch [00:12<00:15, 115/s]
#ifndef MASE_RUN_SWEEP_PROGRESS_H_
#define MASE_RUN_SWEEP_PROGRESS_H_

#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/progress.h"

namespace mase {

// Thread-safe. Of several runs at a time the first one draws, so that the line can be read.
class SweepProgress {
 public:
  // Draws on `terminal`, which is one of mase/base/progress.h: nothing without a clock.
  SweepProgress(size_t runs, Terminal terminal);

  // The run of this number begins; what it is to draw its progress on. `this` outlives it.
  Terminal Begin(size_t run);
  void End(size_t run);
  // A run of those that are done already: it says nothing of the time that others take.
  void Keep() { ++kept_; }

  // Erases the line of a terminal, before something else is written there.
  void Clear();

 private:
  std::string Front() const;
  void Draw(size_t run, absl::string_view line);

  const size_t runs_;
  const Terminal terminal_;
  double begun_s_ = 0;
  size_t kept_ = 0;
  absl::Mutex mutex_;
  std::set<size_t> running_;
  size_t ended_ = 0;
  bool drawn_ = false;
};

}  // namespace mase

#endif  // MASE_RUN_SWEEP_PROGRESS_H_
