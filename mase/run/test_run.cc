#include "mase/run/test_run.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/config/paths.h"
#include "mase/run/execution.h"
#include "mase/run/predictions.h"
#include "mase/run/run_directory.h"
#include "mase/run/session.h"
#include "mase/run/test_metrics.h"

namespace mase {
namespace {

// The split that the settings name. A file of rows without classes is there to be predicted.
absl::StatusOr<Split> ChooseSplit(const RunConfig& config, const Session& session, bool predicts) {
  const Split named = SplitByName(config.evaluation().split());
  const Dataset& data = session.dataset;
  if (named != Split::kTest || data.Has(named) || !data.Has(Split::kPred)) return named;
  if (predicts) return Split::kPred;
  return absl::InvalidArgumentError(
      "the rows have no classes to compare with; --predictions=FILE writes what the net says of "
      "them");
}

absl::Status Write(const RunConfig& config, const Session& session, Split split,
                   std::vector<float> scores, const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  Predictions predictions;
  predictions.outputs = static_cast<int64_t>(scores.size()) / data.rows();
  predictions.scores = std::move(scores);
  predictions.labels = data.labels.data<int64_t>();
  predictions.class_names = session.dataset.info().class_names;
  predictions.top_k = config.evaluation().topk();
  MASE_RETURN_IF_ERROR(WritePredictions(path, predictions));
  session.reporter().Info(
      absl::StrCat("Wrote the outputs of ", data.rows(), " rows to ", path,
                   "; classes: ", absl::StrJoin(predictions.class_names, ", ")));
  return absl::OkStatus();
}

absl::Status Test(const RunConfig& config, Split split, const std::string& predictions,
                  Session& session) {
  std::vector<float> scores;
  OutputSink<float> sink;
  if (!predictions.empty()) {
    sink = [&scores](int64_t, absl::Span<const float> batch) {
      scores.insert(scores.end(), batch.begin(), batch.end());
      return absl::OkStatus();
    };
  }
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  if (split == Split::kPred) {
    MASE_RETURN_IF_ERROR(Predict(session, session.graph, split, config, sink));
    MASE_RETURN_IF_ERROR(Write(config, session, split, std::move(scores), predictions));
    return ReportExecution(config, TestOptionsOf(config, session.environment), session.graph,
                           data.features, session);
  }
  MASE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                        TestAndReport(session, session.graph, split, config, "test", sink));
  if (!predictions.empty()) {
    MASE_RETURN_IF_ERROR(Write(config, session, split, std::move(scores), predictions));
  }
  MASE_RETURN_IF_ERROR(CheckMeasured(evaluation, "tested", split));
  return ReportExecution(config, TestOptionsOf(config, session.environment), session.graph,
                         data.features, session);
}

absl::StatusOr<RunResult> Run(const RunConfig& config, const std::string& predictions,
                              const RunReport& begun, const RunEnvironment& environment) {
  if (!predictions.empty()) {
    MASE_RETURN_IF_ERROR(CheckPredictionsPath(predictions));
  }
  MASE_RETURN_IF_ERROR(
      CheckOutputs(config, /*new_directory=*/true, {.written = {{"predictions", predictions}}}));
  MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun, environment));
  MASE_ASSIGN_OR_RETURN(const Split split, ChooseSplit(config, session, !predictions.empty()));
  MASE_RETURN_IF_ERROR(OpenSplit(session, split).status());
  MASE_ASSIGN_OR_RETURN(
      RunDirectory directory,
      RunDirectory::Create(config, "test", session.graph.name(), session.dataset.name()));
  MASE_RETURN_IF_ERROR(directory.WriteSettings(config));
  absl::Status ended = Test(config, split, predictions, session);
  if (ended.ok()) ended = SayInterrupted(environment.CheckInterrupt(), "when all was measured");
  if (absl::IsCancelled(ended)) {
    ended = absl::CancelledError(absl::StrCat(
        ended.message(), "; a test begins anew, in another directory than ", directory.path()));
  }
  return CompleteRun(ended, "Testing is completed", directory, session);
}

}  // namespace

RunResult TestRun(const RunConfig& config, const std::string& predictions, const RunReport& begun,
                  const RunEnvironment& environment) {
  return ResultOf([&] { return Run(config, predictions, begun, environment); }, begun, environment);
}

}  // namespace mase
