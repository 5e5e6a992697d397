// Reporter: where a run says what it does and what came of it. The run library itself prints
// nothing: a command line has a reporter that writes to the terminal, a test one that records
// (recording_reporter.h), a run among many one that says nothing.
//
//   void Announce(Reporter& reporter) {
//     reporter.Info("Initialising model 'jsc-tiny'...");
//     reporter.Print("best epoch: 3\n");
//     reporter.Show(table, "costs/costs.csv");
//     Progress progress("testing", rows, "row", reporter.progress());
//   }
//
// A reporter is used by one thread at a time.
#ifndef MASE_RUN_REPORTER_H_
#define MASE_RUN_REPORTER_H_

#include "absl/strings/string_view.h"
#include "mase/base/progress.h"
#include "mase/base/table.h"

namespace mase {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// By itself it drops all it is told.
class Reporter {
 public:
  virtual ~Reporter() = default;

  // A message on how the run goes, without a line break at its end. What somebody has to know of
  // the results is a warning; it goes into the report, too, by whoever writes that.
  virtual void Message(LogLevel, absl::string_view) {}
  void Info(absl::string_view message) { Message(LogLevel::kInfo, message); }
  void Warn(absl::string_view message) { Message(LogLevel::kWarning, message); }

  // A part of the results, as text that ends with a line break.
  virtual void Print(absl::string_view) {}

  // A part of the results, as a table. `whole` is the file that has all of it, relative to the run
  // directory; "" if none has.
  virtual void Show(const Table&, absl::string_view /*whole*/) {}

  // All results of the action, as one JSON document.
  virtual void PrintJson(absl::string_view) {}

  // The directory of files that the action wrote, at its end; never "".
  virtual void Wrote(absl::string_view /*directory*/) {}

  // What lines of progress are drawn on. By default nothing is.
  virtual Terminal progress() { return {}; }
};

}  // namespace mase

#endif  // MASE_RUN_REPORTER_H_
