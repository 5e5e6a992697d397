// A net that is run over the rows of a split, watched: a line of progress, and an end where the
// user interrupts the run.
//
//   WatchedRows rows("testing", "while the net was tested", data.rows(), batch_size, environment);
//   const auto measured = MeasureNet(*executor, data, classes, config, rows.Sink(sink));
//   MASE_RETURN_IF_ERROR(rows.Ending(measured.status()));
#ifndef MASE_RUN_WATCHED_ROWS_H_
#define MASE_RUN_WATCHED_ROWS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/base/progress.h"
#include "mase/exec/evaluation.h"
#include "mase/run/run.h"

namespace mase {

class WatchedRows {
 public:
  // `label` begins the line of progress; `doing` is for SayInterrupted.
  WatchedRows(absl::string_view label, absl::string_view doing, int64_t rows, int64_t batch_size,
              const RunEnvironment& environment);

  // What sees each batch before `sink`, which may be null, does. This object outlives it.
  OutputSink<float> Sink(const OutputSink<float>& sink = nullptr);

  // How the run ended; where it was interrupted, after how many rows.
  absl::Status Ending(const absl::Status& status) const;

 private:
  const std::string doing_;
  const int64_t rows_, batch_size_;
  const RunEnvironment& environment_;
  Progress progress_;
  int64_t done_ = 0;
};

}  // namespace mase

#endif  // MASE_RUN_WATCHED_ROWS_H_
