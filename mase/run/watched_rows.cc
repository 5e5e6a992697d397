#include "mase/run/watched_rows.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/data/dataset.h"

namespace mase {

WatchedRows::WatchedRows(absl::string_view label, absl::string_view doing, int64_t rows,
                         int64_t batch_size, const RunEnvironment& environment)
    : doing_(doing),
      rows_(rows),
      batch_size_(batch_size),
      environment_(environment),
      progress_(std::string(label), rows, "row", environment.reporter.progress()) {}

OutputSink<float> WatchedRows::Sink(const OutputSink<float>& sink) {
  return [this, sink](int64_t first_row, absl::Span<const float> outputs) -> absl::Status {
    done_ = std::min(rows_, first_row + batch_size_);
    progress_.Update(done_);
    MASE_RETURN_IF_ERROR(environment_.CheckInterrupt());
    return sink ? sink(first_row, outputs) : absl::OkStatus();
  };
}

absl::Status WatchedRows::Ending(const absl::Status& status) const {
  return SayInterrupted(status, absl::StrCat(doing_, ", after ", WithCommas(done_), " of ",
                                             WithCommas(rows_), " rows"));
}

}  // namespace mase
