#include "mase/run/run.h"

#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mase {

absl::Status RunEnvironment::CheckInterrupt() const {
  const bool ends = watch_interrupt && watch_interrupt();
  return ends ? absl::CancelledError("interrupted") : absl::OkStatus();
}

RunReport BeginReport(absl::string_view action) {
  RunReport report;
  report.set_action(std::string(action));
  report.set_started(absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::LocalTimeZone()));
  return report;
}

RunResult ResultOf(absl::StatusOr<RunResult> run, const RunReport& begun) {
  if (run.ok()) return *std::move(run);
  RunResult result = {run.status(), begun};
  result.report.set_status("failed");
  result.report.set_error(std::string(run.status().message()));
  return result;
}

}  // namespace mase
