// Runs as values: settings in, a report out. transform_run.h, train_run.h and test_run.h have the
// functions; each can be called any number of times in a process, also from several threads, and
// says nothing but to its Reporter.
//
//   Reporter silent;
//   const RunEnvironment environment = {.reporter = silent, .passes = loader.get()};
//   const RunResult run = TransformRun(config, BeginReport("transform"), environment);
//   if (run.status.ok()) std::cout << run.directory << "\n";
#ifndef MASE_RUN_RUN_H_
#define MASE_RUN_RUN_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/pipeline/instrumentation.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/dataset_cache.h"
#include "mase/run/reporter.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

using Instruments = std::vector<std::unique_ptr<Instrumentation>>;

// What a run finds around it. All outlives the run.
struct RunEnvironment {
  Reporter& reporter;
  PluginLoader* passes = nullptr;  // Needed by settings that have passes.
  DatasetCache* data = nullptr;    // Null: the run opens its data for itself.
  // What watches the passes; none if unset.
  std::function<absl::StatusOr<Instruments>(const Pipeline&, const RunConfig&)> instruments;
  // Called where a run can be interrupted; what it returns, always the same, ends the run when it
  // becomes true. Unset: runs cannot be interrupted.
  std::function<const std::atomic<bool>&()> watch_interrupt;

  // What is looked at, for what looks by itself (ExecutorOptions); null where nothing interrupts.
  const std::atomic<bool>* interrupted() const;
  // Cancelled, "interrupted", if it is true.
  absl::Status CheckInterrupt() const;
};

// `status`; where it is Cancelled it says what was interrupted: "interrupted" and `doing`, "while
// the net was tested, after 256 of 1,000 rows".
absl::Status SayInterrupted(const absl::Status& status, absl::string_view doing);

// How a run ended.
struct RunResult {
  // The errors of settings, data, net and passes; Cancelled: interrupted; OutOfRange: a loss that
  // is no finite number. Its exit code is that of base/status.h.
  absl::Status status;
  // All that is known; of a run that wrote a directory, its summary.json.
  RunReport report;
  std::string directory;  // That it wrote; "" where it failed before.
};

// The report of a run that is about to begin: action and time.
RunReport BeginReport(absl::string_view action);

// What `run` gives, or where that is an error, as it failed before it wrote anything, a result that
// says so; also where memory was short (ResourceExhausted). From its beginning on an interrupt is a
// request that the run looks at, and ends no process that is writing.
RunResult ResultOf(absl::FunctionRef<absl::StatusOr<RunResult>()> run, const RunReport& begun,
                   const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_RUN_H_
