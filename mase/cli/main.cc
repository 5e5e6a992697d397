#include "mase/cli/main.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "mase/base/isa_limit.h"
#include "mase/base/memory_budget.h"
#include "mase/base/recorded.h"
#include "mase/base/runfiles.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table_report.h"
#include "mase/base/version.h"
#include "mase/cli/explain.h"
#include "mase/cli/flag_rules.h"
#include "mase/cli/log.h"
#include "mase/cli/terminal_reporter.h"
#include "mase/config/arguments.h"
#include "mase/config/own_flags.h"
#include "mase/config/paths.h"
#include "mase/run/goal.h"
#include "mase/run/report_json.h"
#include "mase/run/run.h"
#include "mase/run/run_directory.h"

namespace mase {
namespace {

constexpr int kColumns = 80;  // Of help, which is not as wide as the terminal.

std::vector<ProcessFlag> OwnFlags(Action& action) {
  std::vector<ProcessFlag> own = {{"help", true, "Print this text."},
                                  {"version", true, "Print the version."}};
  for (ProcessFlag& flag : FlagsOf(*OutputFlags::descriptor())) own.push_back(std::move(flag));
  if (const google::protobuf::Message* flags = action.own_flags(); flags != nullptr) {
    for (ProcessFlag& flag : FlagsOf(*flags->GetDescriptor())) own.push_back(std::move(flag));
  }
  return own;
}

// How one calls the action here: with Bazel from a source tree, else by the program's name.
std::string Command(absl::string_view action) {
  if (std::getenv("BUILD_WORKSPACE_DIRECTORY") == nullptr) return absl::StrCat("ch ", action);
  return absl::StrCat("./bazelw run //mase:ch -- ", action);
}

// The command, indented; where it is too long on several lines, as a shell reads it.
std::string CommandLines(const std::string& command) {
  std::string lines, line = " ";
  for (const absl::string_view word : absl::StrSplit(command, ' ')) {
    const bool fits = line.size() + 1 + word.size() + 2 <= kColumns;
    if (!fits) absl::StrAppend(&lines, std::exchange(line, "     "), " \\\n");
    absl::StrAppend(&line, " ", word);
  }
  return absl::StrCat(lines, line, "\n");
}

void PrintHelp(Action& action) {
  const std::string written = absl::StrCat("./bazelw run //mase:", action.command(), " --");
  const std::string command = Command(action.command());
  std::string examples;
  for (absl::string_view line : absl::StrSplit(action.examples(), '\n', absl::SkipEmpty())) {
    examples += CommandLines(absl::StrReplaceAll(line, {{written, command}}));
  }
  const std::string title =
      WrapLines(absl::StrCat(action.command(), ": ", action.summary()), kColumns, 2);
  std::printf("%s\n", absl::StrCat(title, "\nUsage: ", command, " ", action.usage(),
                                   "\n\nExamples:\n", examples,
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
void WarnOfSettings(const RunConfig& config, Reporter& reporter) {
  if (config.accelerator() == "gpu" || config.accelerator() == "mps") {
    reporter.Warn(absl::StrCat("accelerator ", config.accelerator(),
                               " is not supported: everything runs on the CPU"));
  }
}

// Where the highest level gave a setting, for messages.
std::string PlaceOf(const SettingsRecord& record, const std::string& path) {
  std::string place = path;
  const auto found = record.find(path);
  if (found == record.end()) return place;
  for (const absl::optional<Given>& given : found->second) {
    if (given.has_value()) place = given->where;
  }
  return place;
}

bool IsOutputFlag(const std::string& name) {
  return OutputFlags::descriptor()->FindFieldByName(name) != nullptr;
}

// Figures that are times have no place in a run that records none.
absl::Status CheckReproducible(const RunConfig& config, absl::Span<const Goal> goals) {
  if (!IsReproducible()) return absl::OkStatus();
  std::string time = config.evaluation().benchmark() ? "benchmark" : "";
  for (const Goal& goal : goals) {
    if (goal.metric() == "seconds" || goal.metric() == "latency_us") time = goal.text;
  }
  if (time.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(time, ": asks for times, and --reproducible leaves times out"));
}

// As RunAction; what words alone can say is done with here.
absl::Status RunWords(Action& action, int argc, char** argv) {
  ActionCall call;
  call.command_line.assign(argv, argv + argc);
  const std::vector<std::string> words(argv + 1, argv + argc);
  MASE_ASSIGN_OR_RETURN(call.arguments, ParseArguments(words, OwnFlags(action)));
  OutputFlags output;
  std::vector<std::pair<std::string, std::string>> own;
  for (const auto& [name, value] : call.arguments.process) {
    if (name == "help") return PrintHelp(action), absl::OkStatus();
    if (name == "version") return std::printf("mase %s\n", Version()), absl::OkStatus();
    if (!IsOutputFlag(name)) own.emplace_back(name, value);
    if (IsOutputFlag(name)) MASE_RETURN_IF_ERROR(SetFlag(name, value, output));
  }
  MASE_RETURN_IF_ERROR(SetReproducible(output.reproducible()));
  call.arguments.process = std::move(own);
  if (output.verbose()) call.shown_settings = ShownSettings::kAll;
  TerminalReporter reporter(output);
  return RunAction(action, call, reporter);
}

}  // namespace

absl::Status Action::CheckGoals(const LoadedConfig& settings) const {
  return CheckGoalsOf(name(), settings);
}

absl::Status CheckGoalsOf(absl::string_view action, const LoadedConfig& settings) {
  const absl::StatusOr<std::vector<Goal>> goals = ReadGoals(settings.config, action);
  if (!goals.ok()) return Annotate(goals.status(), PlaceOf(settings.record, "goals.require"));
  return CheckReproducible(settings.config, *goals);
}

absl::Status Action::CheckFiles(const RunConfig& settings) {
  NamedFiles files = {.read = MoreFilesRead(settings)};
  if (const google::protobuf::Message* flags = own_flags(); flags != nullptr) {
    files.written = PathsIn(*flags, PathUse::kWritten);
    const std::vector<NamedPath> read = PathsIn(*flags, PathUse::kRead);
    files.read.insert(files.read.end(), read.begin(), read.end());
  }
  if (!arguments_.config.empty()) {
    MASE_ASSIGN_OR_RETURN(std::string file, UserPath(arguments_.config));
    files.read.push_back({"config", std::move(file)});
  }
  return CheckFilesOf(settings, std::move(files));
}

absl::Status RunAction(Action& action, const ActionCall& call, Reporter& reporter) {
  const Arguments& arguments = call.arguments;
  RunReport begun = BeginReport(action.name());
  begun.mutable_command_line()->Add(call.command_line.begin(), call.command_line.end());
  for (const auto& [name, value] : arguments.process) {
    MASE_RETURN_IF_ERROR(SetFlag(name, value, *action.own_flags()));
  }
  MASE_RETURN_IF_ERROR(CheckFlags(action.name(), arguments, action.own_flags()));
  MASE_RETURN_IF_ERROR(CheckIsaLimit());
  if (!action.makes_directory()) MASE_RETURN_IF_ERROR(RefuseOutputs(arguments, action.name()));
  action.Begin(arguments, reporter, call.watch_interrupt);
  MASE_ASSIGN_OR_RETURN(const bool done, action.Prepare());
  if (done) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(LoadedConfig settings,
                        LoadConfig(action.arguments(), action.config_request()));
  action.Settle(settings.config);
  MASE_RETURN_IF_ERROR(action.CheckFiles(settings.config));
  SetLogging(settings.config);
  if (settings.config.has_max_memory()) {
    const absl::StatusOr<int64_t> limit = ParseMemorySize(settings.config.max_memory());
    if (!limit.ok()) return Annotate(limit.status(), PlaceOf(settings.record, "max_memory"));
    SetMemoryLimit(*limit);
  }
  const Table shown = SettingsTable(settings.record, call.shown_settings);
  if (shown.num_rows() > 0) reporter.Show(shown, "");
  for (const std::string& note : arguments.notes) reporter.Warn(note);
  for (const std::string& note : settings.notes) reporter.Warn(note);
  WarnOfSettings(settings.config, reporter);
  SetSettings(settings.config, begun);
  if (settings.config.html()) *begun.add_tables() = ReportOf(OriginsTable(settings.record));
  MASE_RETURN_IF_ERROR(action.CheckGoals(settings));
  return IsDryRun(action) ? action.Explain(settings, begun) : action.Run(settings, begun);
}

absl::Status RefuseOutputs(const Arguments& arguments, absl::string_view action) {
  constexpr absl::string_view kOfDirectories[] = {
      "html", "run_dir", "project", "goal", "goals.require", "project_dir", "junit", "goals.junit"};
  for (const auto& [flag, key] : SettingsOnCommandLine(arguments)) {
    if (!absl::c_linear_search(kOfDirectories, key)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " has no use here: ", action,
                     " makes no run directory; transform, train, test and sweep do"));
  }
  return absl::OkStatus();
}

absl::Status Action::Finish(const RunResult& run) {
  reporter_->PrintJson(ReportJson(run.report));
  if (!run.directory.empty()) reporter_->Wrote(run.directory);
  return run.status;
}

absl::Status Action::Explain(const LoadedConfig& settings, const RunReport& begun) {
  reporter().Show(OriginsTable(settings.record), "");
  const nlohmann::ordered_json json = {{"action", begun.action()},
                                       {"settings", GivenJson(GivenBelow(settings.record, ""))}};
  reporter().PrintJson(absl::StrCat(DumpJson(json), "\n"));
  return absl::OkStatus();
}

int Main(Action& action, int argc, char** argv) {
  FLAGS_logtostderr = true;
  if (!google::IsGoogleLoggingInitialized()) google::InitGoogleLogging("ch");
  PrintByLines();
  absl::Status status;
  try {
    status = RunWords(action, argc, argv);
  } catch (const std::bad_alloc& e) {
    status = OutOfMemory(e);
  } catch (const std::exception& e) {
    status = absl::InternalError(absl::StrCat("unexpected exception: ", e.what()));
  }
  if (!status.ok()) Log(LogLevel::kError, status.message());
  return ExitCode(status);
}

}  // namespace mase
