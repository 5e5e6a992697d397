// What every program of this tool does before and after its own work: flags, help,
// settings, messages, exit codes.
#ifndef MASE_CLI_MAIN_H_
#define MASE_CLI_MAIN_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/config/config.h"
#include "proto/report.pb.h"

namespace mase {

// One action: transform, train, test, ... Its process flags are gflags that it
// DEFINEs in its .cc file; settings of the run come as RunConfig.
class Action {
 public:
  virtual ~Action() = default;

  virtual absl::string_view name() const = 0;      // "transform"
  virtual absl::string_view summary() const = 0;   // One sentence, for --help.
  virtual absl::string_view examples() const = 0;  // Command lines, one each, for --help.

  // Runs before the settings are read, with the process flags set. True: there is
  // nothing more to do (a flag asked for a listing).
  virtual absl::StatusOr<bool> Prepare() { return false; }
  virtual ConfigRequest config_request() const { return {nullptr, /*read_passes=*/false}; }

  // `begun` is the run's report as far as it is known before: action, command line, start,
  // settings.
  virtual absl::Status Run(const LoadedConfig& settings, const RunReport& begun) = 0;
};

// The whole of main(): parses, prints the effective settings, runs, prints an error
// as one line, and returns the exit code (base/status.h). Lets no exception out.
int Main(Action& action, int argc, char** argv);

}  // namespace mase

#endif  // MASE_CLI_MAIN_H_
