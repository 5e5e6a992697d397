#include "mase/run/session.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/last_words.h"
#include "mase/base/recorded.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/version.h"
#include "mase/base/writable.h"
#include "mase/config/paths.h"
#include "mase/data/open_dataset.h"
#include "mase/exec/execution_report.h"
#include "mase/model/zoo.h"
#include "mase/run/goal.h"
#include "mase/run/goal_report.h"
#include "mase/run/open_data.h"
#include "mase/run/open_model.h"
#include "mase/run/page/page.h"

namespace mase {
namespace {

void FillReport(const RunConfig& config, const std::optional<OpenedCheckpoint>& opened,
                const Session& session, RunReport& report) {
  report.set_seed(config.seed());
  report.mutable_model()->set_name(session.graph.name());
  report.mutable_model()->set_parameters(static_cast<uint32_t>(session.graph.parameter_count()));
  report.mutable_model()->set_buffers(static_cast<uint32_t>(session.graph.buffer_count()));
  if (opened.has_value()) report.mutable_model()->set_loaded_from(opened->path);
  report.mutable_data()->set_name(session.dataset.name());
  if (session.dataset.info().real) report.mutable_data()->set_real(*session.dataset.info().real);
  for (const std::string& name : session.dataset.info().class_names) {
    report.mutable_data()->add_class_names(name);
  }
  for (const auto& [name, version] : Versions()) (*report.mutable_versions())[name] = version;
}

// `train jsc-sim jsc-tiny`, which is the wrong way round, and `test wine --load=...`, where the one
// word is taken for the model.
absl::Status CheckOrder(const RunConfig& config) {
  const std::string &model = config.model().name(), &data = config.dataset().name();
  const auto is_model = [](absl::string_view name) {
    return absl::c_any_of(ZooModels(), [&](const ZooEntry& entry) { return entry.name == name; });
  };
  const auto is_data = [](absl::string_view name) {
    return absl::c_any_of(KnownDatasets(),
                          [&](const KnownDataset& entry) { return entry.name == name; });
  };
  if (!is_data(model) || is_model(model)) return absl::OkStatus();
  if (is_model(data)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", model, "' is a data set and '", data,
                     "' a model; MODEL comes first, then DATASET: ", data, " ", model));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", model, "' is a data set; MODEL comes first, then DATASET",
      config.model().has_load_name() ? "; the file has a model, so say --dataset=" : "",
      config.model().has_load_name() ? model : ""));
}

absl::Status CheckPrecision(const RunConfig& config, absl::string_view action) {
  const bool contradicts = action == "test" && AsksForBfloat16(config) &&
                           config.evaluation().execution() == ExecutionName(Execution::kInteger);
  if (!contradicts) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "trainer_precision bf16 rounds what is multiplied in float, and execution integer multiplies "
      "codes as they are; leave one of the two out (--trainer-precision=32, "
      "--execution=simulated)");
}

// A net and its data, before any row is read.
struct OpenedNet {
  std::optional<OpenedCheckpoint> checkpoint;
  OpenedData data;
  TorchGenerator generator;
  Graph graph;
};

absl::Status CheckTopK(const RunConfig& config, const Dataset& dataset) {
  const int64_t classes = dataset.num_classes(), k = config.evaluation().topk();
  if (k <= classes || classes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--topk=", k, " is more than the ", classes,
                                                 " classes of data set '", dataset.name(), "'"));
}

absl::StatusOr<OpenedNet> OpenNet(const RunConfig& config, absl::string_view action,
                                  const RunEnvironment& environment) {
  MASE_RETURN_IF_ERROR(CheckOrder(config));
  MASE_RETURN_IF_ERROR(CheckPrecision(config, action));
  if (action == "test" && !config.model().has_load_name()) {
    const std::string& given = config.model().name();
    std::error_code unused;
    return absl::InvalidArgumentError(absl::StrCat(
        "expected checkpoint via --load, got None",
        std::filesystem::exists(given, unused) ? absl::StrCat("; say --load=", given) : ""));
  }
  MASE_ASSIGN_OR_RETURN(std::optional<OpenedCheckpoint> opened,
                        OpenCheckpoint(config.model(), environment.reporter));
  MASE_ASSIGN_OR_RETURN(OpenedData data, OpenData(config, action, opened, environment));
  MASE_RETURN_IF_ERROR(CheckTopK(config, data.dataset));
  TorchGenerator generator(config.seed());
  MASE_ASSIGN_OR_RETURN(
      Graph graph, OpenModel(config, data.dataset.info(), opened, generator, environment.reporter));
  return OpenedNet{std::move(opened), std::move(data), generator, std::move(graph)};
}

// A page that cannot be made is no reason to lose the summary.
absl::Status WritePage(RunDirectory& directory, const Session& session) {
  if (!session.picture.empty()) {
    MASE_RETURN_IF_ERROR(directory.Write("graph.svg", session.picture));
  }
  FinishedRun run{directory.path(), "", session.report};
  for (const std::string& file : directory.artifacts()) run.report.add_artifacts(file);
  if (absl::StatusOr<std::vector<EpochRecord>> history = ReadHistory(run.path); history.ok()) {
    run.history = *std::move(history);
  }
  return directory.Write("report.html", PageOf({&run, 1}, session.sections));
}

}  // namespace

bool AsksForBfloat16(const RunConfig& config) { return config.trainer_precision() == "bf16"; }

absl::Status CheckOutputs(const RunConfig& config, bool new_directory, NamedFiles more) {
  const std::string& junit = config.goals().junit();
  if (!junit.empty()) {
    MASE_RETURN_IF_ERROR(Annotate(CheckWritable(junit), "--junit"));
  }
  MASE_RETURN_IF_ERROR(CheckFilesOf(config, std::move(more)));
  return new_directory ? RunDirectory::CheckFree(config) : absl::OkStatus();
}

absl::Status CheckNet(const RunConfig& config, absl::string_view action,
                      const RunEnvironment& environment) {
  return OpenNet(config, action, environment).status();
}

absl::StatusOr<Session> OpenSession(const RunConfig& config, const RunReport& begun,
                                    const RunEnvironment& environment) {
  MASE_ASSIGN_OR_RETURN(const std::vector<Goal> goals, ReadGoals(config, begun.action()));
  const absl::Time now = RecordedTime();
  MASE_ASSIGN_OR_RETURN(OpenedNet net, OpenNet(config, begun.action(), environment));
  const OpenedData& data = net.data;
  Session session{environment, now, data.dataset, std::move(net.graph), net.generator, begun};
  session.junit = config.goals().junit();
  session.html = config.html();
  SetGoals(goals, session.report);
  FillReport(config, net.checkpoint, session, session.report);
  const bool untrained = !net.checkpoint.has_value() || (data.recipe && data.recipe->untrained());
  if (begun.action() == "train") {
    MASE_RETURN_IF_ERROR(OpenSplit(session, Split::kTrain).status());
    MASE_ASSIGN_OR_RETURN(session.recipe, RecipeOfTraining(data));
  } else {
    session.report.mutable_model()->set_untrained(untrained);
    MASE_ASSIGN_OR_RETURN(session.recipe, RecipeOfTransform(data, untrained));
  }
  return session;
}

absl::StatusOr<SplitData> OpenSplit(const Session& session, Split split) {
  const std::vector<Node*> inputs = session.graph.placeholders();
  const Shape& wanted = inputs[0]->outputs()[0]->shape();
  const Shape& sample = session.dataset.info().sample_shape;
  const bool fits =
      inputs.size() == 1 && wanted.rank() > 0 && Shape(wanted.dims().subspan(1)) == sample;
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", session.graph.name(), "' reads ", inputs.size(),
                     " inputs, the first ", wanted.ToString(), "; a sample of data set '",
                     session.dataset.name(), "' is ", sample.ToString()));
  }
  absl::StatusOr<SplitData> data = session.dataset.Get(split);
  ReportNotes(session.dataset, session.reporter());
  if (!absl::IsNotFound(data.status()) || session.dataset.Has(split)) return data;
  // What the set is tells what to do instead.
  for (const KnownDataset& known : KnownDatasets()) {
    if (known.name != session.dataset.name()) continue;
    return absl::NotFoundError(
        absl::StrCat(data.status().message(), "; ", known.name, " is ", known.description));
  }
  return data;
}

void WarnAndReport(const std::string& warning, Session& session) {
  session.reporter().Warn(warning);
  session.report.add_warnings(warning);
}

void WarnOfFigures(Split split, const SplitData& data, Session& session) {
  if (session.report.model().untrained()) {
    WarnAndReport("the weights are untrained: the figures say nothing of what the net can learn",
                  session);
  }
  const std::string overlap = OverlapWarning(session.recipe, split, data);
  if (!overlap.empty()) WarnAndReport(overlap, session);
}

Split SplitByName(absl::string_view name) {
  for (Split split : {Split::kTrain, Split::kValidation, Split::kPred}) {
    if (SplitName(split) == name) return split;
  }
  return Split::kTest;
}

absl::Status CheckMeasured(const Evaluation& evaluation, absl::string_view whose, Split split) {
  if (std::isfinite(evaluation.loss)) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(
      "the ", whose, " net's loss is ", std::isnan(evaluation.loss) ? "nan" : "inf", " on the ",
      SplitName(split), " split: its scores are no numbers, and the accuracy means nothing. Look ",
      "for nan and inf in the weights, and for formats whose range is too small"));
}

namespace {

// How the run ended, in its report.
void Conclude(const absl::Status& status, RunReport& report) {
  report.set_status(status.ok()                 ? "ok"
                    : absl::IsAborted(status)   ? "missed"
                    : absl::IsCancelled(status) ? "interrupted"
                    : IsCrash(status)           ? kCrashed
                                                : "failed");
  if (!status.ok()) report.set_error(std::string(status.message()));
}

}  // namespace

RunResult CompleteRun(const absl::Status& ended, absl::string_view done, RunDirectory& directory,
                      Session& session) {
  RunReport& report = session.report;
  report.set_seconds(absl::ToDoubleSeconds(RecordedTime() - session.began));
  absl::Status status = ended.ok() ? MeasureGoals(report) : ended;
  Conclude(status, report);
  // A run that a file is missing of has failed, as the summary, which comes last, is to say.
  const auto take = [&](const absl::Status& written) {
    if (written.ok() || !(status.ok() || absl::IsAborted(status))) return;
    status = written;
    Conclude(status, report);
  };
  if (session.html) take(WritePage(directory, session));
  if (!session.junit.empty()) {
    take(WriteNamedFile(session.junit, GoalsAsJunit({SuiteOf("", report)})));
  }
  take(directory.Finish(report));
  if (ended.ok() && report.goals_size() > 0) session.reporter().Show(GoalTable(report), "");
  RunResult result = {status, report, directory.path()};
  if (!status.ok() && !absl::IsAborted(status)) return result;
  session.reporter().Info(done);
  std::string files = absl::StrCat("Files written to ", directory.path(), ":\n");
  for (const std::string& file : directory.artifacts()) absl::StrAppend(&files, "  ", file, "\n");
  session.reporter().Print(files);
  return result;
}

}  // namespace mase
