// What every program of this tool does before and after its own work: flags, help,
// settings, messages, exit codes.
#ifndef MASE_CLI_MAIN_H_
#define MASE_CLI_MAIN_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "mase/cli/interrupt.h"
#include "mase/config/arguments.h"
#include "mase/config/config.h"
#include "mase/config/paths.h"
#include "mase/run/reporter.h"
#include "mase/run/run.h"
#include "proto/report.pb.h"

namespace mase {

// RunEnvironment::watch_interrupt.
using WatchInterrupt = std::function<const std::atomic<bool>&()>;

// One action: transform, train, test. Settings of the run come as RunConfig; what else
// it wants to be told is a message of flags.
class Action {
 public:
  virtual ~Action() = default;

  virtual absl::string_view name() const = 0;      // "transform"
  virtual absl::string_view summary() const = 0;   // One sentence, for --help.
  virtual absl::string_view examples() const = 0;  // Command lines, one each, for --help.

  // What people type for it, where that is not its name.
  virtual absl::string_view command() const { return name(); }

  // Of the usage in --help, behind the action's name.
  virtual absl::string_view usage() const { return "[MODEL] [DATASET] [flags]"; }

  // The action's own flags (proto/flags.proto), which are set before anything below is called; null
  // if it has none.
  virtual google::protobuf::Message* own_flags() { return nullptr; }

  // Runs before the settings are read. True: there is
  // nothing more to do (a flag asked for a listing).
  virtual absl::StatusOr<bool> Prepare() { return false; }
  virtual ConfigRequest config_request() const { return {nullptr, /*read_passes=*/false}; }

  // What Prepare found belongs into the settings.
  virtual void Settle(RunConfig&) const {}

  // Files that Run reads, and that flags or these settings name in words that are no paths.
  virtual std::vector<NamedPath> MoreFilesRead(const RunConfig&) const { return {}; }

  // InvalidArgument if one of the files that these settings, flags and --config name is to be
  // written and read. A sweep asks this of its points, too.
  absl::Status CheckFiles(const RunConfig& settings);

  // Whether Run writes a run directory; where not, flags that are about it are refused.
  virtual bool makes_directory() const { return true; }

  // Whether runs of these settings have the figures that their goals are about. A sweep asks this
  // of its points, whose settings it makes itself.
  virtual absl::Status CheckGoals(const LoadedConfig& settings) const;

  // `begun` is the run's report as far as it is known before: action, command line, start,
  // settings.
  virtual absl::Status Run(const LoadedConfig& settings, const RunReport& begun) = 0;

  // Where it says what it does, the command line, and what ends it early. Set before anything else
  // is called.
  Reporter& reporter() { return *reporter_; }
  const Arguments& arguments() const { return arguments_; }
  const WatchInterrupt& watch_interrupt() const { return watch_interrupt_; }
  void Begin(const Arguments& arguments, Reporter& reporter, WatchInterrupt watch_interrupt) {
    arguments_ = arguments;
    reporter_ = &reporter;
    watch_interrupt_ = std::move(watch_interrupt);
  }

  // Where Prepare understands words in another way.
  void set_arguments(Arguments arguments) { arguments_ = std::move(arguments); }

  // The end of Run: hands out the report.
  absl::Status Finish(const RunResult& run);

  // In place of Run where the flag dry_run is set: says what Run would do, and which setting says
  // so. Here, the settings that were given and where.
  virtual absl::Status Explain(const LoadedConfig& settings, const RunReport& begun);

 private:
  Arguments arguments_;
  Reporter* reporter_ = nullptr;
  WatchInterrupt watch_interrupt_;
};

// How an action is called, once what it is to be told is known.
struct ActionCall {
  Arguments arguments;
  std::vector<std::string> command_line;                   // For the report.
  ShownSettings shown_settings = ShownSettings::kChanged;  // As the first table.
  WatchInterrupt watch_interrupt = CatchInterrupt;         // Ctrl-C ends it.
};

// InvalidArgument, with the goals' place, if runs of `action` with these settings do not have the
// figures that their goals are about, or if those are times and the run is to be reproducible.
absl::Status CheckGoalsOf(absl::string_view action, const LoadedConfig& settings);

// Sets the action's own flags, reads the settings and runs or explains. Says everything to
// `reporter` and nothing to stdout. For programs that call actions by other means than words; may
// throw what memory or libraries throw. An action is called once.
absl::Status RunAction(Action& action, const ActionCall& call, Reporter& reporter);

// InvalidArgument if the command line has settings that are about a run directory (--html,
// --run_dir, goals), for actions that make none.
absl::Status RefuseOutputs(const Arguments& arguments, absl::string_view action);

// The whole of main(): parses, prints the effective settings, runs, prints an error
// as one line, and returns the exit code (base/status.h). Lets no exception out.
int Main(Action& action, int argc, char** argv);

}  // namespace mase

#endif  // MASE_CLI_MAIN_H_
