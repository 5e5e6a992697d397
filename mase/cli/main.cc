#include "mase/cli/main.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/version.h"
#include "mase/cli/log.h"
#include "mase/cli/report_json.h"
#include "mase/config/arguments.h"
#include "mase/config/own_flags.h"

namespace mase {
namespace {

std::vector<ProcessFlag> OwnFlags(Action& action) {
  std::vector<ProcessFlag> own = {{"help", true, "Print this text."},
                                  {"version", true, "Print the version."}};
  if (const google::protobuf::Message* flags = action.own_flags(); flags != nullptr) {
    for (ProcessFlag& flag : FlagsOf(*flags->GetDescriptor())) own.push_back(std::move(flag));
  }
  return own;
}

// How one calls the action here: with Bazel from a source tree, else by the program's name.
std::string Command(absl::string_view action) {
  return std::getenv("BUILD_WORKSPACE_DIRECTORY") != nullptr
             ? absl::StrCat("./bazelw run //mase:", action, " --")
             : absl::StrCat("ch ", action);
}

void PrintHelp(Action& action) {
  const std::string written = absl::StrCat("./bazelw run //mase:", action.name(), " --");
  const std::string command = Command(action.name());
  std::string examples;
  for (absl::string_view line : absl::StrSplit(action.examples(), '\n', absl::SkipEmpty())) {
    absl::StrAppend(&examples, "  ", absl::StrReplaceAll(line, {{written, command}}), "\n");
  }
  std::printf("%s\n", absl::StrCat(action.name(), ": ", action.summary(), "\n\nUsage: ", command,
                                   " [MODEL] [DATASET] [flags]\n\nExamples:\n", examples,
                                   "\nSettings come from defaults < --config file < --set < "
                                   "flags.\n\n",
                                   FlagHelp(OwnFlags(action)))
                          .c_str());
}

bool IsDryRun(Action& action) {
  const google::protobuf::Message* flags = action.own_flags();
  const auto* field =
      flags == nullptr ? nullptr : flags->GetDescriptor()->FindFieldByName("dry_run");
  return field != nullptr && flags->GetReflection()->GetBool(*flags, field);
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
  MASE_ASSIGN_OR_RETURN(const Arguments arguments, ParseArguments(words, OwnFlags(action)));
  for (const auto& [name, value] : arguments.process) {
    if (name == "help") return PrintHelp(action), absl::OkStatus();
    if (name == "version") return std::printf("mase %s\n", Version()), absl::OkStatus();
    MASE_RETURN_IF_ERROR(SetFlag(name, value, *action.own_flags()));
  }
  MASE_ASSIGN_OR_RETURN(const bool done, action.Prepare());
  if (done) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const LoadedConfig settings,
                        LoadConfig(arguments, action.config_request()));
  SetLogging(settings.config);
  std::printf("%s", SettingsTable(settings.record).Text(StandardOutputRoom()).c_str());
  for (const std::string& note : arguments.notes) LogWarning(note);
  for (const std::string& note : settings.notes) LogWarning(note);
  WarnOfSettings(settings.config);
  SetSettings(settings.config, begun);
  return IsDryRun(action) ? action.Explain(settings, begun) : action.Run(settings, begun);
}

}  // namespace

absl::Status Action::Explain(const LoadedConfig& settings, const RunReport&) {
  std::printf("%s", OriginsTable(settings.record).Text(StandardOutputRoom()).c_str());
  return absl::OkStatus();
}

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
  if (!status.ok()) Log(LogLevel::kError, status.message());
  return ExitCode(status);
}

}  // namespace mase
