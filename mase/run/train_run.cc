#include "mase/run/train_run.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/exec/execution_report.h"
#include "mase/model/checkpoint.h"
#include "mase/run/execution.h"
#include "mase/run/measure.h"
#include "mase/run/report_json.h"
#include "mase/run/resumed_settings.h"
#include "mase/run/run_directory.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"
#include "mase/run/test_metrics.h"
#include "mase/run/trainer_options.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

// Stages of the net that a training leaves: that of the best epoch, or where none was validated the
// last.
constexpr char kBest[] = "best", kLast[] = "last";

bool IsThere(const RunDirectory& directory, absl::string_view file) {
  std::error_code error;
  return std::filesystem::exists(directory.File(file), error);
}

void ReportEpochs(const TrainingResult& result, int64_t train_rows, RunReport& report) {
  const auto add = [&report](const char* name, const EpochRecord& epoch, const char* split,
                             double value, int64_t rows) {
    MetricReport* metric = report.add_metrics();
    metric->set_name(name);
    metric->set_stage(absl::StrCat("epoch ", epoch.epoch));
    metric->set_split(split);
    if (std::isfinite(value)) metric->set_value(value);
    metric->set_samples(static_cast<uint32_t>(rows));
  };
  for (const EpochRecord& epoch : result.history) {
    add("loss", epoch, "train", epoch.train_loss, train_rows);
    add("loss", epoch, "validation", epoch.val_loss, epoch.val_total);
    add("accuracy", epoch, "validation", epoch.val_acc, epoch.val_total);
    report.mutable_metrics()->rbegin()->set_correct(static_cast<uint32_t>(epoch.val_correct));
  }
}

// What the summary of a run that goes on has to say of its beginning: the passes, what they wrote,
// and the figures from before training.
absl::Status TakeOver(RunDirectory& directory, RunReport& report) {
  MASE_ASSIGN_OR_RETURN(const RunReport begun, ReadSummary(directory.path()));
  *report.mutable_model() = begun.model();
  *report.mutable_passes() = begun.passes();
  *report.mutable_warnings() = begun.warnings();
  *report.mutable_versions() = begun.versions();
  *report.mutable_comparisons() = begun.comparisons();
  for (const MetricReport& metric : begun.metrics()) {
    if (metric.stage() == kOriginal || metric.stage() == kTransformed) {
      *report.add_metrics() = metric;
    }
  }
  for (const std::string& file : begun.artifacts()) {
    MASE_RETURN_IF_ERROR(directory.Reserve(file).status());
  }
  return absl::OkStatus();
}

// Accuracy and loss of the float net, of what passes made of it, and of what training made of
// that, where all three were measured.
void ShowComparison(const RunReport& report, const char* trained, Reporter& reporter) {
  Table table({{"Metric"}, {"Original", "", 6}, {"Transformed", "", 6}, {"Trained", "", 6}});
  for (const char* name : {"accuracy", "loss"}) {
    std::vector<Cell> row = {name};
    for (const char* stage : {kOriginal, kTransformed, trained}) {
      for (const MetricReport& metric : report.metrics()) {
        const bool wanted = metric.name() == name && metric.stage() == stage &&
                            metric.split() == SplitName(Split::kTest);
        if (!wanted) continue;
        row.push_back(metric.has_value() ? Cell(metric.value()) : Cell("not finite"));
      }
    }
    if (row.size() != 4) return;
    table.AddRow(row);
  }
  reporter.Print(table.Boxed());
}

void Announce(const RunConfig& config, const Graph& graph, Reporter& reporter) {
  reporter.Info(absl::StrCat("Training model '", graph.name(), "'..."));
  reporter.Info(absl::StrCat("##### WEIGHT DECAY ##### ", config.weight_decay()));
  int nodes = 0, quantized = 0;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node), ++nodes) {
    quantized += node->quantization() != nullptr;
  }
  if (config.evaluation().execution() == ExecutionName(Execution::kInteger)) {
    reporter.Info(
        absl::StrCat("Training and validation simulate number formats in float; "
                     "--execution=integer is how the best net is tested",
                     AsksForBfloat16(config) ? "; what of it runs in float then is float32" : ""));
  }
  if (quantized == 0) return;
  reporter.Info(absl::StrCat("The net that is trained is the quantized one: ", quantized,
                             " of its ", nodes, " nodes compute in a format"));
}

absl::Status TestBest(const RunConfig& config, const TrainingResult& result,
                      const RunDirectory& directory, Session& session) {
  if (!session.dataset.Has(Split::kTest)) return CheckNothingRequired(config);
  const bool has_best = result.best_epoch >= 0;
  const char* stage = has_best ? kBest : kLast;
  MASE_ASSIGN_OR_RETURN(
      const Checkpoint checkpoint,
      LoadCheckpoint(directory.File(has_best ? kBestCheckpoint : kLastCheckpoint)));
  if (has_best) {
    session.reporter().Print(absl::StrCat("best epoch: ", result.best_epoch, "\n"));
  }
  MASE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                        TestAndReport(session, *checkpoint.graph, Split::kTest, config, stage));
  ShowComparison(session.report, stage, session.reporter());
  if (const auto* comparison = ReportComparison(kOriginal, stage, session.report)) {
    session.reporter().Print(ComparisonText(*comparison));
  }
  MASE_RETURN_IF_ERROR(CheckMeasured(evaluation, "trained", Split::kTest));
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, Split::kTest));
  return ReportExecution(config, TestOptionsOf(config, session.environment), *checkpoint.graph,
                         data.features, session);
}

absl::StatusOr<RunResult> Complete(const RunConfig& config,
                                   const absl::StatusOr<TrainingResult>& result,
                                   RunDirectory& directory, Session& session) {
  absl::Status status = result.status();
  if (status.ok()) {
    for (const std::string& file : result->files) {
      MASE_RETURN_IF_ERROR(directory.Reserve(file).status());
    }
    MASE_ASSIGN_OR_RETURN(const SplitData train, OpenSplit(session, Split::kTrain));
    ReportEpochs(*result, train.rows(), session.report);
    if (result->best_epoch >= 0) {
      session.report.set_best_epoch(static_cast<uint32_t>(result->best_epoch));
    }
    status = result->ending;
    if (absl::IsCancelled(status)) {
      status = absl::CancelledError(absl::StrCat("interrupted after ", result->steps,
                                                 " steps; go on with --resume=", directory.path()));
    } else if (status.ok()) {
      status = TestBest(config, *result, directory, session);
    }
  }
  return CompleteRun(status, "Training is completed", directory, session);
}

// In a new directory, if none is given.
absl::StatusOr<RunResult> Begin(const RunConfig& config, const RunReport& begun,
                                const RunEnvironment& environment,
                                std::optional<RunDirectory> directory) {
  // All that can be wrong with settings, data, net and passes is found before anything is
  // written.
  TrainerOptions options = TrainerOptionsOf(config, environment);
  MASE_ASSIGN_OR_RETURN(Pipeline pipeline, CreatePasses(config, environment));
  MASE_RETURN_IF_ERROR(CheckOutputs(config, /*new_directory=*/!directory.has_value()));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun, environment));
  MASE_RETURN_IF_ERROR(OpenSplit(session, Split::kTrain).status());
  options.facts[kRecipeFact] = RecipeText(*session.recipe);
  const bool has_passes = !config.passes().empty();
  // Initial weights have no accuracy worth knowing.
  const bool measure = has_passes && config.model().has_load_name() &&
                       config.evaluation().enabled() &&
                       session.dataset.Has(SplitByName(config.evaluation().split()));
  Transformed transformed;
  MASE_RETURN_IF_ERROR(RunPasses(config, pipeline, session, measure, transformed,
                                 directory.has_value() ? &*directory : nullptr));
  MASE_ASSIGN_OR_RETURN(
      const auto trainer,
      Trainer::Create(transformed.graph.Clone(), session.dataset, session.generator, options));
  if (!directory.has_value()) {
    MASE_ASSIGN_OR_RETURN(directory, RunDirectory::Create(config, "train", session.graph.name(),
                                                          session.dataset.name()));
  }
  MASE_RETURN_IF_ERROR(directory->WriteSettings(config));
  if (has_passes) {
    MASE_RETURN_IF_ERROR(transformed.WriteFiles(*directory));
    session.report.set_status("running");
    MASE_RETURN_IF_ERROR(directory->Finish(session.report));  // See TakeOver.
  }
  Announce(config, transformed.graph, environment.reporter);
  return Complete(config, trainer->Run(directory->path()), *directory, session);
}

// From the directory's last checkpoint.
absl::StatusOr<RunResult> GoOn(const ResumedSettings& settings, const RunReport& begun,
                               const RunEnvironment& environment, RunDirectory directory) {
  const RunConfig& config = settings.config;
  TrainerOptions options = TrainerOptionsOf(config, environment);
  MASE_RETURN_IF_ERROR(CheckOutputs(config, /*new_directory=*/false));
  RunConfig from_checkpoint = config;
  from_checkpoint.mutable_model()->clear_name();
  from_checkpoint.mutable_model()->set_load_name(directory.File(kLastCheckpoint));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(from_checkpoint, begun, environment));
  MASE_RETURN_IF_ERROR(OpenSplit(session, Split::kTrain).status());
  options.facts[kRecipeFact] = RecipeText(*session.recipe);
  MASE_ASSIGN_OR_RETURN(const auto trainer, Trainer::Create(session.graph.Clone(), session.dataset,
                                                            session.generator, options));
  session.report.mutable_model()->set_loaded_from(config.model().load_name());
  if (IsThere(directory, RunDirectory::kSummary)) {
    MASE_RETURN_IF_ERROR(TakeOver(directory, session.report));
  }
  MASE_RETURN_IF_ERROR(trainer->Restore(directory.path()));
  if (settings.changed) MASE_RETURN_IF_ERROR(directory.WriteSettings(config));
  SetSettings(config, session.report);
  Announce(config, session.graph, environment.reporter);
  return Complete(config, trainer->Run(directory.path()), directory, session);
}

absl::StatusOr<RunResult> Resume(const LoadedConfig& given, const ConfigRequest& request,
                                 const RunReport& begun, const RunEnvironment& environment) {
  MASE_ASSIGN_OR_RETURN(RunDirectory directory, RunDirectory::Reopen(given.config.resume()));
  if (IsThere(directory, RunDirectory::kSummary)) {
    MASE_ASSIGN_OR_RETURN(const RunReport before, ReadSummary(directory.path()));
    if (before.action() != "train") {
      return absl::InvalidArgumentError(
          absl::StrCat(directory.path(), ": holds a run of the action ", Quoted(before.action()),
                       ", and --resume goes on with trainings"));
    }
  }
  MASE_ASSIGN_OR_RETURN(const ResumedSettings resumed, SettingsOf(directory, given, request));
  // A run may have died before its first checkpoint. One holds what passes made of the net.
  const auto has = [&directory](const char* file) { return IsThere(directory, file); };
  const bool has_checkpoint = has(kLastCheckpoint);
  if (!has_checkpoint && has(kBestCheckpoint) && has(RunDirectory::kSummary)) {
    // Beginning anew would overwrite what is there.
    return absl::NotFoundError(
        absl::StrCat(directory.File(kLastCheckpoint),
                     ": is not there, and the training goes on from it; to begin anew, choose "
                     "another --run_dir"));
  }
  return has_checkpoint ? GoOn(resumed, begun, environment, std::move(directory))
                        : Begin(resumed.config, begun, environment, std::move(directory));
}

}  // namespace

RunResult TrainRun(const RunConfig& config, const RunReport& begun,
                   const RunEnvironment& environment) {
  return ResultOf([&] { return Begin(config, begun, environment, std::nullopt); }, begun,
                  environment);
}

RunResult ResumeTraining(const LoadedConfig& given, const ConfigRequest& request,
                         const RunReport& begun, const RunEnvironment& environment) {
  return ResultOf([&] { return Resume(given, request, begun, environment); }, begun, environment);
}

}  // namespace mase
