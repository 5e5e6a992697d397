// The one program: `ch ACTION [WORDS]`. transform, train, test and formats are names of it.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/stubs/logging.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/base/threads.h"
#include "mase/cli/completion.h"
#include "mase/cli/diff_action.h"
#include "mase/cli/export_action.h"
#include "mase/cli/info_action.h"
#include "mase/cli/interrupt.h"
#include "mase/cli/listings.h"
#include "mase/cli/log.h"
#include "mase/cli/main.h"
#include "mase/cli/new_pass.h"
#include "mase/cli/plugins_action.h"
#include "mase/cli/run_listings.h"
#include "mase/cli/search_action.h"
#include "mase/cli/sweep_action.h"
#include "mase/cli/test_action.h"
#include "mase/cli/train_action.h"
#include "mase/cli/transform_action.h"
#include "mase/cli/worker.h"
#include "mase/formats.h"
#include "mase/plugin/serve_plugin.h"

namespace mase {
namespace {

// What one can do with the program.
struct ActionEntry {
  absl::string_view name;
  absl::string_view summary;  // One line of help.
  // The whole action, words[0] being its name; the exit code (base/status.h).
  int (*run)(std::vector<std::string> words);
};

int RunHelp(std::vector<std::string> words);

// Runs an action with the words as its command line.
int RunAs(Action& action, std::vector<std::string> words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return Main(action, static_cast<int>(words.size()), pointers.data());
}

absl::StatusOr<std::string> ListingText(const absl::StatusOr<Listing>& listing, bool json) {
  if (!listing.ok()) return listing.status();
  const std::optional<Table>& table = listing->table;
  if (json && table.has_value()) return table->Json();
  if (json) return absl::InvalidArgumentError("--json: this is a text, no table");
  return absl::StrCat(table.has_value() ? table->Text(StandardOutputRoom()) : "", listing->text);
}

// Prints what a listing makes of the words behind its name; with --json its table as JSON.
template <absl::StatusOr<Listing> (*List)(const std::vector<std::string>&)>
int Print(std::vector<std::string> words) {
  words.erase(words.begin());
  const auto flag = std::find(words.begin(), words.end(), "--json");
  const bool json = flag != words.end();
  if (json) words.erase(flag);
  absl::StatusOr<std::string> text = ListingText(List(words), json);
  if (text.ok()) std::printf("%s", text->c_str());
  if (!text.ok()) Log(LogLevel::kError, text.status().message());
  return ExitCode(text.status());
}

// `sweep train ...`: which action is swept stands before its words.
int RunSweepAction(std::vector<std::string> words) {
  std::string swept;
  if (words.size() > 1 && words[1][0] != '-') {
    swept = words[1];
    words.erase(words.begin() + 1);
  }
  return RunAs(*MakeSweepAction(swept), std::move(words));
}

// `export qdq ...`: the form stands before its words.
int RunExportAction(std::vector<std::string> words) {
  std::string form;
  if (words.size() > 1 && words[1][0] != '-') {
    form = words[1];
    words.erase(words.begin() + 1);
  }
  return RunAs(*MakeExportAction(form), std::move(words));
}

// A transform by the name of another action, with flags that make it that.
int RunTransformAs(std::vector<std::string> words, const std::vector<std::string>& flags);

// A transform that runs one pass behind those of the settings, and measures nothing besides.
template <const char* kPass>
int RunPass(std::vector<std::string> words) {
  return RunTransformAs(std::move(words),
                        {"--evaluate=false", absl::StrCat("--set=passes.", kPass, "={}")});
}
std::vector<std::string> ActionNames();

absl::StatusOr<Listing> ListCompletionsOfActions(const std::vector<std::string>& words) {
  return ListCompletions(words, ActionNames());
}

constexpr char kProfile[] = "profile_statistics";
constexpr char kVerify[] = "verify_quantization";
constexpr char kCompareActivations[] = "compare_activations";
constexpr char kSensitivity[] = "sensitivity";
// Does what the words behind the name say.
template <absl::Status (*Action)(const std::vector<std::string>&)>
int Do(std::vector<std::string> words) {
  PrintByLines();
  words.erase(words.begin());
  const absl::Status status = Action(words);
  if (!status.ok()) Log(LogLevel::kError, status.message());
  return ExitCode(status);
}

const ActionEntry kActions[] = {
    {"transform", "run the passes of a config on a net; measure it before and after",
     [](std::vector<std::string> words) {
       return RunAs(*MakeTransformAction(), std::move(words));
     }},
    {"train", "train a net, after the passes of a config; test the best epoch",
     [](std::vector<std::string> words) { return RunAs(*MakeTrainAction(), std::move(words)); }},
    {"test", "measure a trained or transformed net on the test split",
     [](std::vector<std::string> words) { return RunAs(*MakeTestAction(), std::move(words)); }},
    {"search", "find the best number formats, widths or other settings of a net",
     [](std::vector<std::string> words) { return RunAs(*MakeSearchAction(), std::move(words)); }},
    {"sweep", "run train, transform or test for many values of any settings", RunSweepAction},
    {"explain", "what a transform would do to each node, by which line of which file",
     [](std::vector<std::string> words) {
       return RunTransformAs(std::move(words), {"--dry_run"});
     }},
    {"info", "show a net's layers, shapes, parameters and MACs; no data needed",
     [](std::vector<std::string> words) { return RunAs(*MakeInfoAction(), std::move(words)); }},
    {"export", "write a net as an ONNX file, in floats or with its rounding, or as C99",
     RunExportAction},
    {"diff", "what differs between two nets: checkpoints, runs or configs", RunDiff},
    {"profile", "statistics of weights and activations", RunPass<kProfile>},
    {"verify", "what rounding makes of every operand; fails where one is off its grid",
     RunPass<kVerify>},
    {"compare-activations", "float against quantized, layer by layer",
     RunPass<kCompareActivations>},
    {"sensitivity", "what each node's number formats cost", RunPass<kSensitivity>},
    {"report", "a table, or a page, of runs that are over", Do<ReportRuns>},
    {"compare", "two runs or nets side by side; do their accuracies differ?", Do<CompareTwoRuns>},
    {"plot", "the training curves of several runs in one picture", Do<PlotRuns>},
    {"formats", "number formats: list, describe, apply to a tensor, measure the error", RunFormats},
    {"passes", "list the passes; `passes describe quantize` is the manual of one",
     Print<ListPasses>},
    {"new_pass", "make a folder with a plugin that builds, to begin with", Do<NewPass>},
    {"plugins", "list and describe plugins; `plugins check FILE.so` tries one out", Do<RunPlugins>},
    {"models", "list the nets that a name stands for", Print<ListModels>},
    {"datasets", "list the data sets that a name stands for", Print<ListDatasets>},
    {"completion", "print the completions of bash or zsh", Print<ListCompletionsOfActions>},
    {"version", "print what this program is made of", Print<ListVersions>},
    {"help", "print this text, or that of an action", RunHelp},
};

const ActionEntry* FindAction(absl::string_view name) {
  for (const ActionEntry& action : kActions) {
    if (action.name == name) return &action;
  }
  return nullptr;
}

int RunTransformAs(std::vector<std::string> words, const std::vector<std::string>& flags) {
  const auto action = MakeTransformAction(words[0], std::string(FindAction(words[0])->summary));
  words[0] = "transform";
  words.insert(words.end(), flags.begin(), flags.end());
  return RunAs(*action, std::move(words));
}

std::vector<std::string> ActionNames() {
  std::vector<std::string> names;
  for (const ActionEntry& action : kActions) names.emplace_back(action.name);
  return names;
}

void PrintOverview() {
  Table table({{"  Action"}, {"What it does"}});
  for (const ActionEntry& action : kActions) {
    table.AddRow({absl::StrCat("  ", action.name), std::string(action.summary)});
  }
  std::printf(
      "MASE: train small nets, quantize them into any number format, measure the cost.\n\n"
      "  ch ACTION [WORDS] [FLAGS]\n\n%s\n"
      "  ch help ACTION           flags and examples of an action\n"
      "  ch ACTION --dry_run      what transform, train, test, sweep, search or export\n"
      "                           would do, and which setting says so\n",
      table.Text().c_str());
}

int UnknownAction(const std::string& name) {
  Log(LogLevel::kError, absl::StrCat("no action '", name, "'", Suggest(name, ActionNames()),
                                     "; `ch help` lists them"));
  return ExitCode(absl::NotFoundError(""));
}

int RunHelp(std::vector<std::string> words) {
  if (words.size() < 2 || words[1] == "help" || words[1] == "--help") return PrintOverview(), 0;
  const ActionEntry* action = FindAction(words[1]);
  return action == nullptr ? UnknownAction(words[1]) : action->run({words[1], "--help"});
}

// The words that `@FILE` stands for, where it stands alone: a line each. Build systems give words
// so that are too many for a command line.
absl::StatusOr<std::vector<std::string>> WordsOfFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, limits::kMaxConfigFileBytes);
  if (!text.ok()) return text.status();
  return absl::StrSplit(absl::StripSuffix(*text, "\n"), '\n');
}

// Does what the words behind the program's name say; the exit code.
int RunWords(std::vector<std::string> words) {
  if (words.size() == 1 && absl::StartsWith(words[0], "@")) {
    absl::StatusOr<std::vector<std::string>> of_file = WordsOfFile(words[0].substr(1));
    if (!of_file.ok()) {
      Log(LogLevel::kError, of_file.status().message());
      return ExitCode(of_file.status());
    }
    words = *std::move(of_file);
  }
  if (words.empty()) return PrintOverview(), 0;
  if (words[0] == "--help" || words[0] == "-h") words[0] = "help";
  if (words[0] == "--version" || words[0] == "-V") words[0] = "version";
  const ActionEntry* action = FindAction(words[0]);
  return action == nullptr ? UnknownAction(words[0]) : action->run(std::move(words));
}

// The exit code, once what was printed is handed over.
int Finished(int exit_code) {
  const absl::Status printed = FinishPrinting();
  if (printed.ok() || exit_code != 0) return exit_code;
  Log(LogLevel::kError, printed.message());
  return ExitCode(printed);
}

// Runs the action that the program's own name says ("transform", "train_main"), and where that is
// none the one that the first word says.
int RunProgram(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  if (words.empty()) words = {"ch"};
  // A room of the source tree is called train, so that the binary of that name is train_main.
  std::string own = words[0].substr(words[0].rfind('/') + 1);
  own = std::string(absl::StripSuffix(own, "_main"));
  if (const ActionEntry* action = FindAction(own); action != nullptr) {
    words[0] = own;
    return Finished(action->run(std::move(words)));
  }
  words.erase(words.begin());
  const auto run = [](std::vector<std::string> of_action) {
    return Finished(RunWords(std::move(of_action)));
  };
  if (absl::c_linear_search(words, "--persistent_worker")) return RunWorker(run);
  return run(std::move(words));
}

}  // namespace
}  // namespace mase

int main(int argc, char** argv) {
  // A file that may not grow (`ulimit -f`) is then a write that fails, as on a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  mase::HoldStandardFiles();
  const int threads = mase::BoundThreads();
  if (const auto code = mase::ServePluginIfAsked(argc, argv)) return *code;
  mase::LeaveNoTemporaryFiles();
  google::protobuf::SetLogHandler(nullptr);  // What it says of damaged files, we say.
  if (threads > 0) {
    mase::Log(mase::LogLevel::kWarning,
              absl::StrCat("OMP_NUM_THREADS asks for ", threads, " threads; ",
                           mase::limits::kMaxThreads, " are used, which is the most"));
  }
  return mase::RunProgram(argc, argv);
}
