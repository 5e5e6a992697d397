#include "mase/cli/session.h"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/version.h"
#include "mase/cli/log.h"
#include "mase/data/open_dataset.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"

namespace mase {
namespace {

// Takes the weights of `file` and says how the names went together.
absl::Status Bind(const Checkpoint& checkpoint, absl::string_view path, Graph& graph) {
  absl::StatusOr<BindReport> report = BindTensors(checkpoint.contents, graph);
  if (!report.ok()) return Annotate(report.status(), path);
  LogInfo(absl::StrCat("Loaded ", path, ": ", report->matched.size(), " tensors matched, ",
                       report->optional_missing.size(), " missing, ", report->extra.size(),
                       " extra"));
  if (!report->optional_missing.empty()) {
    LogInfo(absl::StrCat("  missing (optional): ", absl::StrJoin(report->optional_missing, ", ")));
  }
  if (!report->extra.empty()) {
    LogInfo(absl::StrCat("  extra (unused): ", absl::StrJoin(report->extra, ", ")));
  }
  return absl::OkStatus();
}

// The net: the checkpoint's own graph if it has one and no other model was asked for, else the
// named model with the checkpoint's weights.
absl::StatusOr<Graph> OpenModel(const RunConfig& config, const DatasetInfo& data,
                                TorchGenerator& generator) {
  const ModelConfig& model = config.model();
  Checkpoint checkpoint;
  if (model.has_load_name()) {
    MASE_ASSIGN_OR_RETURN(checkpoint, LoadCheckpoint(model.load_name()));
    const bool same = model.name().empty() ||
                      (checkpoint.graph.has_value() && checkpoint.graph->name() == model.name());
    if (checkpoint.graph.has_value() && same) {
      LogInfo(absl::StrCat("Loaded ", model.load_name(), ": graph '", checkpoint.graph->name(),
                           "' with ", checkpoint.graph->tensors().size(), " tensors"));
      MASE_RETURN_IF_ERROR(InferShapes(*checkpoint.graph, config.batch_size()));
      // A PyTorch loop builds its net before it loads weights, and draws batches from what that
      // left. Nets that are not ours to build leave the generator as it is.
      (void)BuildModel(
          {checkpoint.graph->name(), data.sample_shape,
           static_cast<int64_t>(data.class_names.size()), config.batch_size(), config.seed()},
          &generator);
      return *std::move(checkpoint.graph);
    }
  }
  if (model.name().empty()) {
    return absl::InvalidArgumentError(
        model.has_load_name()
            ? absl::StrCat(model.load_name(), " holds no graph: name the model too")
            : "No model and/or dataset provided! These are required.");
  }
  LogInfo(absl::StrCat("Initialising model '", model.name(), "'..."));
  MASE_ASSIGN_OR_RETURN(Graph graph, BuildModel({model.name(), data.sample_shape,
                                                 static_cast<int64_t>(data.class_names.size()),
                                                 config.batch_size(), config.seed()},
                                                &generator));
  if (model.has_load_name()) MASE_RETURN_IF_ERROR(Bind(checkpoint, model.load_name(), graph));
  return graph;
}

void FillReport(const RunConfig& config, absl::string_view action, const Session& session,
                RunReport& report) {
  report.set_action(std::string(action));
  report.set_seed(config.seed());
  report.mutable_model()->set_name(session.graph.name());
  report.mutable_model()->set_parameters(static_cast<uint32_t>(session.graph.parameter_count()));
  report.mutable_model()->set_buffers(static_cast<uint32_t>(session.graph.buffer_count()));
  report.mutable_model()->set_loaded_from(config.model().load_name());
  report.mutable_data()->set_name(session.dataset.name());
  report.mutable_data()->set_real(session.dataset.info().real);
  for (const auto& [name, version] : Versions()) (*report.mutable_versions())[name] = version;
}

}  // namespace

absl::StatusOr<Session> OpenSession(const RunConfig& config, absl::string_view action) {
  const DatasetConfig& data = config.dataset();
  if (data.name().empty() && data.path().empty() && data.train().empty() && data.test().empty()) {
    return absl::InvalidArgumentError("No model and/or dataset provided! These are required.");
  }
  const absl::Time began = absl::Now();
  LogInfo(
      absl::StrCat("Initialising dataset '", data.name().empty() ? "csv" : data.name(), "'..."));
  MASE_ASSIGN_OR_RETURN(Dataset dataset, OpenDataset(data, config.seed()));
  for (const std::string& note : dataset.notes().Take()) LogInfo(note);
  TorchGenerator generator(config.seed());
  MASE_ASSIGN_OR_RETURN(Graph graph, OpenModel(config, dataset.info(), generator));
  Session session{began, std::move(dataset), std::move(graph), generator};
  FillReport(config, action, session, session.report);
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
  for (const std::string& note : session.dataset.notes().Take()) LogInfo(note);
  return data;
}

Split SplitByName(absl::string_view name) {
  for (Split split : {Split::kTrain, Split::kValidation, Split::kPred}) {
    if (SplitName(split) == name) return split;
  }
  return Split::kTest;
}

void ReportMetrics(const Evaluation& evaluation, absl::string_view stage, Split split,
                   RunReport& report) {
  const std::pair<const char*, double> metrics[] = {{"accuracy", evaluation.accuracy},
                                                    {"loss", evaluation.loss}};
  for (const auto& [name, value] : metrics) {
    MetricReport* metric = report.add_metrics();
    metric->set_name(name);
    metric->set_stage(std::string(stage));
    metric->set_split(std::string(SplitName(split)));
    metric->set_value(value);
    metric->set_samples(static_cast<uint32_t>(evaluation.samples));
  }
}

absl::Status CompleteRun(const absl::Status& status, absl::string_view done,
                         RunDirectory& directory, Session& session) {
  RunReport& report = session.report;
  report.set_status(status.ok() ? "ok" : absl::IsCancelled(status) ? "interrupted" : "failed");
  if (!status.ok()) report.set_error(std::string(status.message()));
  report.set_seconds(absl::ToDoubleSeconds(absl::Now() - session.began));
  const absl::Status finished = directory.Finish(report);
  MASE_RETURN_IF_ERROR(status);
  MASE_RETURN_IF_ERROR(finished);
  LogInfo(done);
  std::printf("Files written to %s:\n", directory.path().c_str());
  for (const std::string& file : directory.artifacts()) std::printf("  %s\n", file.c_str());
  return absl::OkStatus();
}

}  // namespace mase
