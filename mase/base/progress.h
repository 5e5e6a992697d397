// One line on a terminal that says how far a long task is:
//
//   epoch 3/20  45% 1388/3084 batch [00:12<00:15, 115/s] loss 0.913 acc 0.671
//
// On a terminal it is redrawn at most ten times a second and erased at the end, so that what is
// logged stays clean. Elsewhere (a file, a pipe, a job of a cluster) it is a line of its own every
// five seconds: what ends sooner leaves no line, and what is killed has said how far it was.
#ifndef MASE_BASE_PROGRESS_H_
#define MASE_BASE_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace mase {

// What a line says, for programs. Valid during the call that gives it.
struct ProgressFigures {
  absl::string_view label;   // "epoch 3/20"
  int64_t done, total;       // total is 0 where it is not known.
  absl::string_view unit;    // "batch"
  absl::string_view detail;  // "loss 0.913 acc 0.671"
};

// What a Progress draws on. Tests give their own.
struct Terminal {
  bool interactive = false;                          // Redraw one line, or write one after another?
  int columns = 80;                                  // Longer lines are cut.
  std::function<double()> seconds;                   // Unset: nothing is ever drawn.
  std::function<void(absl::string_view)> write;      // Set where `seconds` is.
  std::function<void(const ProgressFigures&)> tell;  // Set: called whenever a line is drawn.

  // stderr and the steady clock.
  static Terminal Stderr();
};

// Not thread-safe. A call of Update that draws nothing costs one reading of the clock, or
// nothing at all where there is no terminal.
class Progress {
 public:
  // `total` in `unit`s ("batch"), 0 where it is not known: no percentage and no ETA then.
  Progress(std::string label, int64_t total, std::string unit,
           Terminal terminal = Terminal::Stderr());
  ~Progress();  // Erases the line of a terminal.
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` units so far. `detail` is called only when the line is drawn.
  void Update(int64_t done, absl::FunctionRef<std::string()> detail);
  void Update(int64_t done) {
    Update(done, [] { return std::string(); });
  }

 private:
  double seconds_between_draws() const;
  std::string Line(int64_t done, double elapsed_s) const;

  const std::string label_;
  const int64_t total_;
  const std::string unit_;
  const Terminal terminal_;
  double start_s_ = 0;
  double next_draw_s_ = 0;
  bool drawn_ = false;
};

}  // namespace mase

#endif  // MASE_BASE_PROGRESS_H_
