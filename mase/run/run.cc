#include "mase/run/run.h"

#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/memory_budget.h"
#include "mase/base/recorded.h"

namespace mase {

const std::atomic<bool>* RunEnvironment::interrupted() const {
  return watch_interrupt ? &watch_interrupt() : nullptr;
}

absl::Status RunEnvironment::CheckInterrupt() const {
  const std::atomic<bool>* ends = interrupted();
  return ends != nullptr && *ends ? absl::CancelledError("interrupted") : absl::OkStatus();
}

absl::Status SayInterrupted(const absl::Status& status, absl::string_view doing) {
  if (!absl::IsCancelled(status)) return status;
  return absl::CancelledError(absl::StrCat(status.message(), " ", doing));
}

RunReport BeginReport(absl::string_view action) {
  RunReport report;
  report.set_action(std::string(action));
  if (!IsReproducible()) {
    report.set_started(absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::LocalTimeZone()));
  }
  return report;
}

namespace {

absl::StatusOr<RunResult> Guarded(absl::FunctionRef<absl::StatusOr<RunResult>()> run,
                                  const RunEnvironment& environment) {
  try {
    // It is caught from here on; where to end is the run's to say.
    if (environment.watch_interrupt) environment.watch_interrupt();
    return run();
  } catch (const std::bad_alloc& error) {
    return OutOfMemory(error);
  }
}

}  // namespace

RunResult ResultOf(absl::FunctionRef<absl::StatusOr<RunResult>()> run, const RunReport& begun,
                   const RunEnvironment& environment) {
  absl::StatusOr<RunResult> ended = Guarded(run, environment);
  if (ended.ok()) return *std::move(ended);
  RunResult result = {ended.status(), begun};
  result.report.set_status("failed");
  result.report.set_error(std::string(ended.status().message()));
  return result;
}

}  // namespace mase
