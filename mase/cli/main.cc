#include "mase/cli/main.h"

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gflags/gflags.h"
#include "glog/logging.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/version.h"
#include "mase/cli/log.h"
#include "mase/cli/report_json.h"
#include "mase/config/arguments.h"

namespace mase {
namespace {

// The gflags of this tool's own files; those of libraries stay out of sight.
std::vector<ProcessFlag> OwnFlags() {
  std::vector<gflags::CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  std::vector<ProcessFlag> own = {{"help", true, "Print this text."},
                                  {"version", true, "Print the version."}};
  for (const gflags::CommandLineFlagInfo& flag : all) {
    if (!absl::StartsWith(flag.filename, "mase/")) continue;
    own.push_back({flag.name, flag.type == "bool", flag.description});
  }
  return own;
}

void PrintHelp(const Action& action) {
  std::string examples;
  for (absl::string_view line : absl::StrSplit(action.examples(), '\n', absl::SkipEmpty())) {
    absl::StrAppend(&examples, "  ", line, "\n");
  }
  std::printf("%s\n",
              absl::StrCat(action.name(), ": ", action.summary(), "\n\nUsage: ./bazelw run //mase:",
                           action.name(), " -- [MODEL] [DATASET] [flags]\n\nExamples:\n", examples,
                           "\nSettings come from defaults < --config file < --set < flags.\n\n",
                           FlagHelp(OwnFlags()))
                  .c_str());
}

void SetLogging(const RunConfig& config) {
  const std::string level = config.to_debug() ? "debug" : config.log_level();
  SetLogLevel(level == "debug"                              ? LogLevel::kDebug
              : level == "info"                             ? LogLevel::kInfo
              : level == "warning" && !config.no_warnings() ? LogLevel::kWarning
                                                            : LogLevel::kError);
}

// Settings that other machines honour and this tool cannot.
void WarnOfSettings(const RunConfig& config) {
  if (config.accelerator() == "gpu" || config.accelerator() == "mps") {
    LogWarning(absl::StrCat("accelerator ", config.accelerator(),
                            " is not supported: everything runs on the CPU"));
  }
}

absl::Status RunAction(Action& action, int argc, char** argv) {
  RunReport begun;
  begun.set_action(std::string(action.name()));
  begun.set_started(absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::LocalTimeZone()));
  begun.mutable_command_line()->Add(argv, argv + argc);
  const std::vector<std::string> words(argv + 1, argv + argc);
  MASE_ASSIGN_OR_RETURN(const Arguments arguments, ParseArguments(words, OwnFlags()));
  for (const auto& [name, value] : arguments.process) {
    if (name == "help") return PrintHelp(action), absl::OkStatus();
    if (name == "version") return std::printf("mase %s\n", Version()), absl::OkStatus();
    if (gflags::SetCommandLineOption(name.c_str(), value.c_str()).empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": cannot be '", value, "'"));
    }
  }
  MASE_ASSIGN_OR_RETURN(const bool done, action.Prepare());
  if (done) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const LoadedConfig settings,
                        LoadConfig(arguments, action.config_request()));
  SetLogging(settings.config);
  std::printf("%s", SettingsTable(settings.record, isatty(STDOUT_FILENO) != 0).c_str());
  for (const std::string& note : arguments.notes) LogWarning(note);
  for (const std::string& note : settings.notes) LogWarning(note);
  WarnOfSettings(settings.config);
  SetSettings(settings.config, begun);
  return action.Run(settings, begun);
}

}  // namespace

int Main(Action& action, int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  PrintByLines();
  absl::Status status;
  try {
    status = RunAction(action, argc, argv);
  } catch (const std::exception& e) {
    status = absl::InternalError(absl::StrCat("unexpected exception: ", e.what()));
  }
  if (status.ok()) status = FinishPrinting();
  if (!status.ok()) Log(LogLevel::kError, status.message());
  return ExitCode(status);
}

}  // namespace mase
