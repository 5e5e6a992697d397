#include "mase/cli/main.h"

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "glog/logging.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/version.h"
#include "mase/cli/log.h"
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
              absl::StrCat(action.name(), ": ", action.summary(), "\n\nUsage: bazel run //mase:",
                           action.name(), " -- [MODEL] [DATASET] [flags]\n\nExamples:\n", examples,
                           "\nSettings come from defaults < --config file < --set < flags.\n\n",
                           FlagHelp(OwnFlags()))
                  .c_str());
}

absl::Status SetLogging(const RunConfig& config) {
  const absl::string_view level = config.to_debug() ? "debug" : config.log_level();
  SetLogLevel(level == "debug"                              ? LogLevel::kDebug
              : level == "info"                             ? LogLevel::kInfo
              : level == "warning" && !config.no_warnings() ? LogLevel::kWarning
                                                            : LogLevel::kError);
  return absl::OkStatus();
}

absl::Status RunAction(Action& action, int argc, char** argv) {
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
  MASE_RETURN_IF_ERROR(SetLogging(settings.config));
  std::printf("%s", SettingsTable(settings.record, isatty(STDOUT_FILENO) != 0).c_str());
  for (const std::string& note : arguments.notes) LogWarning(note);
  for (const std::string& note : settings.notes) LogWarning(note);
  return action.Run(settings);
}

}  // namespace

int Main(Action& action, int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  absl::Status status;
  try {
    status = RunAction(action, argc, argv);
  } catch (const std::exception& e) {
    status = absl::InternalError(absl::StrCat("unexpected exception: ", e.what()));
  }
  if (!status.ok()) Log(LogLevel::kError, status.message());
  std::fflush(stdout);
  return ExitCode(status);
}

}  // namespace mase
