#include "mase/search/conclusion.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/exec/executor.h"
#include "mase/run/figure.h"
#include "mase/run/measure.h"
#include "mase/run/net_figures.h"
#include "mase/run/run_passes.h"
#include "mase/run/train_run.h"
#include "mase/run/transform_run.h"
#include "mase/search/search_results.h"

namespace mase {

absl::Status CheckWinner(const SearchContext& context, const Trial& winner, const Graph& net) {
  if (winner.state != TrialState::kComplete) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const TrialFigures again, FiguresOf(context, net));
  const TrialFigures found = FiguresOfTrial(winner);
  if (again.software == found.software) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("trial ", winner.number, " was found with loss ", found.software.at("loss"),
                   ", and an ordinary run of its settings has ", again.software.at("loss")));
}

absl::Status MeasureWinner(const Graph& net, const RunConfig& config, Session& session) {
  const Split split = Split::kTest;
  if (!session.dataset.Has(split)) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  Table table({{"whole test split"}, {"accuracy", "", 4}, {"loss", "", 4}});
  for (const auto& [graph, stage] :
       {std::pair<const Graph*, const char*>{&session.graph, kOriginal},
        std::pair<const Graph*, const char*>{&net, kTransformed}}) {
    // Initial weights have no accuracy worth knowing.
    if (graph != &net && session.report.model().untrained()) continue;
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(*graph));
    MASE_ASSIGN_OR_RETURN(const Measurement measured,
                          MeasureNet(*executor, data, session.dataset.num_classes(), config));
    ReportMeasurement(measured, stage, split, session.dataset.info().class_names, session.report);
    MASE_RETURN_IF_ERROR(
        ReportNeededFigures(*graph, *executor, data.features, stage, session.report));
    table.AddRow({graph == &net ? "winner" : "net as it came", measured.evaluation.accuracy,
                  measured.evaluation.loss});
    MASE_RETURN_IF_ERROR(
        CheckMeasured(measured.evaluation, graph == &net ? "winning" : "original", split));
  }
  session.reporter().Print("\n");
  session.reporter().Show(table, "");
  if (const auto* comparison = ReportComparison(kOriginal, kTransformed, session.report)) {
    session.reporter().Print(ComparisonText(*comparison));
  }
  return absl::OkStatus();
}

absl::Status ApplyTrial(const SearchContext& context, const Trial& trial, Session& session,
                        RunDirectory& directory) {
  MASE_ASSIGN_OR_RETURN(RunConfig config,
                        context.settings_of(context.space.AssignmentsOf(trial.point)));
  config.clear_search();
  config.clear_goals();
  const std::string name = absl::StrCat(kTrialFolder, trial.number);
  config.set_run_dir(directory.File(name));
  std::error_code error;
  std::filesystem::remove_all(config.run_dir(), error);
  const bool trains = context.settings.strategy().sw_runner().has_basic_train();
  const char* action = trains ? "train" : "transform";
  RunReport begun = BeginReport(action);
  *begun.mutable_command_line() = session.report.command_line();
  Reporter silent;
  const RunEnvironment& environment = session.environment;
  const RunEnvironment quiet = {.reporter = silent,
                                .passes = environment.passes,
                                .data = environment.data,
                                .watch_interrupt = environment.watch_interrupt};
  const RunResult result =
      trains ? TrainRun(config, begun, quiet) : TransformRun(config, begun, quiet);
  MASE_RETURN_IF_ERROR(Annotate(result.status, absl::StrCat("applying trial ", trial.number)));
  for (const std::string& file : result.report.artifacts()) {
    MASE_RETURN_IF_ERROR(directory.Reserve(absl::StrCat(name, "/", file)).status());
  }
  std::string figure;
  const std::vector<std::string> words = {"test"};
  if (const MetricReport* accuracy = FindMetric(result.report, "accuracy", words)) {
    figure = absl::StrFormat(", with an accuracy of %.4f on the test split", accuracy->value());
  }
  session.reporter().Info(absl::StrCat("Applied trial ", trial.number, ": ", result.directory,
                                       " is a ", action, " run of its settings", figure));
  return absl::OkStatus();
}

}  // namespace mase
