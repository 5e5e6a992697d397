// What people see of a run: results on stdout, messages and progress on stderr.
#ifndef MASE_CLI_TERMINAL_REPORTER_H_
#define MASE_CLI_TERMINAL_REPORTER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "mase/run/reporter.h"
#include "proto/flags.pb.h"

namespace mase {

// With `quiet` only warnings are printed, with `json` only JSON is on stdout and all else on
// stderr.
class TerminalReporter : public Reporter {
 public:
  explicit TerminalReporter(const OutputFlags& flags) : flags_(flags) {}

  void Message(LogLevel level, absl::string_view message) override;
  void Print(absl::string_view text) override;
  void Show(const Table& table, absl::string_view whole) override;
  Terminal progress() override;

  // On stdout; nothing without the flag.
  void PrintJson(absl::string_view document) override;

 private:
  void PutOut(absl::string_view text);

  const OutputFlags flags_;
};

}  // namespace mase

#endif  // MASE_CLI_TERMINAL_REPORTER_H_
