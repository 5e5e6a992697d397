#include "mase/run/run.h"

#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mase {

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
