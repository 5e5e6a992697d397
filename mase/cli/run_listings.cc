#include "mase/cli/run_listings.h"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/base/files.h"
#include "mase/base/quote.h"
#include "mase/base/runfiles.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/base/writable.h"
#include "mase/cli/log.h"
#include "mase/config/arguments.h"
#include "mase/config/own_flags.h"
#include "mase/config/paths.h"
#include "mase/interop/svg_curves.h"
#include "mase/run/build_events.h"
#include "mase/run/compare_runs.h"
#include "mase/run/finished_run.h"
#include "mase/run/page/page.h"
#include "mase/run/run_directory.h"
#include "mase/run/run_table.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

struct Usage {
  const char* line;     // "report DIR..."
  const char* summary;  // What it does.
};
constexpr Usage kReport = {"report DIR...",
                           "a table of runs, a row each; a folder stands for all "
                           "runs below it"};
constexpr Usage kCompare = {"compare A B", "two runs or checkpoints side by side"};
constexpr Usage kPlot = {"plot DIR...", "training curves of several runs in one SVG picture"};

// Reads the flags into `flags` and returns the other words, completed as paths of the user's.
// Nothing if help was asked for and printed.
absl::StatusOr<std::optional<std::vector<std::string>>> ReadWords(
    const Usage& usage, const std::vector<std::string>& words, google::protobuf::Message& flags) {
  std::vector<ProcessFlag> known = FlagsOf(*flags.GetDescriptor());
  known.push_back({"help", true, "Print this text."});
  MASE_ASSIGN_OR_RETURN(const Arguments arguments, ParseArguments(words, known));
  for (const auto& [name, value] : arguments.process) {
    if (name == "help") {
      std::printf("%s\n\nUsage: ch %s [flags]\n\n", usage.summary, usage.line);
      for (const ProcessFlag& flag : known) {
        std::printf("  --%s%s\n%s", flag.name.c_str(), flag.is_switch ? "" : " VALUE",
                    WrapLines(absl::StrCat("      ", flag.help), 80, 6).c_str());
      }
      return std::nullopt;
    }
    MASE_RETURN_IF_ERROR(SetFlag(name, value, flags));
  }
  if (!arguments.settings.empty() || !arguments.sets.empty() || !arguments.config.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("it takes no settings of runs; usage: ch ", usage.line, " [flags]"));
  }
  std::vector<std::string> paths;
  for (const std::string& word : arguments.positionals) {
    MASE_ASSIGN_OR_RETURN(paths.emplace_back(), UserPath(word));
  }
  return paths;
}

// The file that `given` names, or one of this name in the current directory, where nothing is
// overwritten that nobody named. What is in the way of writing it is found before there is anything
// to write.
absl::StatusOr<std::string> OutputFile(const std::string& given, const std::string& name) {
  std::string output = given;
  if (output.empty()) {
    MASE_ASSIGN_OR_RETURN(output, UserPath(name));
    std::error_code error;
    if (std::filesystem::exists(output, error)) {
      return absl::AlreadyExistsError(absl::StrCat(output, " exists; --output=", name,
                                                   " overwrites it, another name does not"));
    }
  }
  MASE_RETURN_IF_ERROR(Annotate(CheckWritable(output), "--output"));
  return output;
}

// A table or picture over one of the files that it is made of would be the last of that run.
absl::Status CheckOutput(const google::protobuf::Message& flags,
                         absl::Span<const FinishedRun> runs) {
  std::vector<NamedPath> read = PathsIn(flags, PathUse::kRead);
  for (const FinishedRun& run : runs) {
    for (const char* file : {RunDirectory::kSummary, kHistoryFile}) {
      read.push_back({"", absl::StrCat(run.path, "/", file)});
    }
  }
  return CheckNothingReadIsWritten(PathsIn(flags, PathUse::kWritten), read);
}

std::string Formatted(const Table& table, absl::string_view format) {
  if (format == "markdown") return table.Markdown();
  if (format == "csv") return table.Csv();
  if (format == "json") return table.Json();
  return table.Text(StandardOutputRoom());
}

// Tables for people have their names spelled, and colours of their own.
void Print(const std::string& text, absl::string_view format) {
  const bool for_people = format.empty() || format == "text";
  std::printf("%s", (for_people ? text : ForStandardOutput(text)).c_str());
}

std::pair<double, double> PointOf(const EpochRecord& epoch, absl::string_view metric) {
  const double y = metric == "train_loss" ? epoch.train_loss
                   : metric == "val_acc"  ? epoch.val_acc
                   : metric == "lr"       ? epoch.rate
                                          : epoch.val_loss;
  return {static_cast<double>(epoch.epoch), y};
}

absl::Status WantRuns(const Usage& usage, const std::vector<std::string>& paths) {
  if (!paths.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("no run is named; usage: ch ", usage.line));
}

absl::Status ReportBuild(const ReportFlags& flags, const std::string& output) {
  const bool markdown = flags.format() == "markdown";
  if (!flags.columns().empty() || !flags.sort().empty() ||
      (!markdown && !flags.format().empty() && flags.format() != "text")) {
    return absl::InvalidArgumentError(
        "a build has several tables, so --bep takes no columns and no sort, and as its format text "
        "or markdown");
  }
  MASE_ASSIGN_OR_RETURN(const BuildSummary build, ReadBuildEvents(flags.bep()));
  const std::string text = flags.html() ? PageOfTables(build.title, build.tables())
                           : markdown   ? build.Markdown()
                                        : build.Text(StandardOutputRoom());
  if (!output.empty()) return WriteNamedFile(output, text);
  Print(text, flags.format());
  return absl::OkStatus();
}

}  // namespace

absl::Status ReportRuns(const std::vector<std::string>& words) {
  ReportFlags flags;
  MASE_ASSIGN_OR_RETURN(const auto paths, ReadWords(kReport, words, flags));
  if (!paths.has_value()) return absl::OkStatus();
  if (!flags.bep().empty() && !paths->empty()) {
    return absl::InvalidArgumentError("want runs, or a build by --bep, not both");
  }
  if (flags.bep().empty()) MASE_RETURN_IF_ERROR(WantRuns(kReport, *paths));
  std::string output = flags.output();
  if (flags.html() || !output.empty()) {
    MASE_ASSIGN_OR_RETURN(output, OutputFile(output, "report.html"));
  }
  MASE_RETURN_IF_ERROR(CheckOutput(flags, {}));
  if (!flags.bep().empty()) return ReportBuild(flags, output);
  const FinishedRuns read = ReadRuns(*paths);
  MASE_RETURN_IF_ERROR(CheckOutput(flags, read.runs));
  if (read.runs.empty()) return read.problems;
  if (flags.html()) {
    MASE_RETURN_IF_ERROR(WriteNamedFile(output, PageOf(read.runs)));
    std::printf("page of %d runs: %s\n", static_cast<int>(read.runs.size()),
                Printable(output).c_str());
    return read.problems;
  }
  const std::vector<std::string> columns(flags.columns().begin(), flags.columns().end());
  MASE_ASSIGN_OR_RETURN(
      const Table table,
      RunTable(read.runs, columns.empty() ? DefaultRunColumns() : columns, flags.sort()));
  const std::string text = Formatted(table, flags.format());
  if (output.empty()) {
    Print(text, flags.format());
  } else {
    MASE_RETURN_IF_ERROR(WriteNamedFile(output, text));
  }
  return read.problems;
}

absl::Status CompareTwoRuns(const std::vector<std::string>& words) {
  CompareFlags flags;
  MASE_ASSIGN_OR_RETURN(const auto paths, ReadWords(kCompare, words, flags));
  if (!paths.has_value()) return absl::OkStatus();
  if (paths->size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("compare takes two runs, not ", paths->size(), "; `report` takes any number"));
  }
  MASE_ASSIGN_OR_RETURN(const ComparedRun first, OpenCompared((*paths)[0]));
  MASE_ASSIGN_OR_RETURN(const ComparedRun second, OpenCompared((*paths)[1]));
  const RunComparison comparison = CompareRuns(first, second);
  Print(Formatted(comparison.table, flags.format()), flags.format());
  const bool for_people = flags.format().empty() || flags.format() == "text";
  if (for_people && !comparison.text.empty()) std::printf("\n%s", comparison.text.c_str());
  return absl::OkStatus();
}

absl::Status PlotRuns(const std::vector<std::string>& words) {
  PlotFlags flags;
  MASE_ASSIGN_OR_RETURN(const auto paths, ReadWords(kPlot, words, flags));
  if (!paths.has_value()) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(WantRuns(kPlot, *paths));
  const std::string metric = flags.metric().empty() ? "val_loss" : flags.metric();
  MASE_ASSIGN_OR_RETURN(const std::string output,
                        OutputFile(flags.output(), absl::StrCat(metric, ".svg")));
  const FinishedRuns read = ReadRuns(*paths);
  MASE_RETURN_IF_ERROR(CheckOutput(flags, read.runs));
  Picture picture{.title = absl::StrReplaceAll(metric, {{"_", " "}}),
                  .x_label = "epoch",
                  .y_label = metric,
                  .whole_x = true};
  for (const FinishedRun& run : read.runs) {
    if (run.history.empty()) continue;
    Curve& curve = picture.curves.emplace_back();
    curve.name = run.name;
    for (const EpochRecord& epoch : run.history) curve.points.push_back(PointOf(epoch, metric));
  }
  if (picture.curves.empty()) {
    MASE_RETURN_IF_ERROR(read.problems);
    return absl::InvalidArgumentError(
        "none of the runs is a training: they have no history.csv to plot");
  }
  MASE_RETURN_IF_ERROR(WriteNamedFile(output, CurvesAsSvg(picture)));
  std::printf("%s of %d runs: %s\n", metric.c_str(), static_cast<int>(picture.curves.size()),
              Printable(output).c_str());
  return read.problems;
}

}  // namespace mase
