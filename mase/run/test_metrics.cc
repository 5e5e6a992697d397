#include "mase/run/test_metrics.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/exec/executor.h"
#include "mase/run/execution.h"
#include "mase/run/measure.h"
#include "mase/run/net_figures.h"
#include "mase/run/watched_rows.h"
#include "mase/train/training_log.h"

namespace mase {
namespace {

absl::StatusOr<std::unique_ptr<Executor>> MakeExecutor(const Session& session, const Graph& graph,
                                                       const RunConfig& config) {
  return Executor::Create(graph, TestOptionsOf(config, session.environment));
}

}  // namespace

absl::Status Predict(Session& session, const Graph& graph, Split split, const RunConfig& config,
                     const OutputSink<float>& sink) {
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  MASE_ASSIGN_OR_RETURN(const auto executor, MakeExecutor(session, graph, config));
  // Evaluate wants classes; what it finds of these is not looked at.
  const Tensor none = Tensor::Zeros(DType::kInt64, {data.rows()});
  WatchedRows watched("predicting", "while the rows were predicted", data.rows(),
                      config.batch_size(), session.environment);
  MASE_RETURN_IF_ERROR(watched.Ending(
      Evaluate(*executor, data.features, none, config.batch_size(), watched.Sink(sink)).status()));
  (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(split))] =
      static_cast<uint32_t>(data.rows());
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> TestAndReport(Session& session, const Graph& graph, Split split,
                                         const RunConfig& config, absl::string_view stage,
                                         const OutputSink<float>& sink) {
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  WarnOfFigures(split, data, session);
  MASE_ASSIGN_OR_RETURN(const auto executor, MakeExecutor(session, graph, config));
  const std::vector<std::string>& names = session.dataset.info().class_names;
  Measurement measured;
  {
    WatchedRows watched("testing", "while the net was tested", data.rows(), config.batch_size(),
                        session.environment);
    absl::StatusOr<Measurement> tested =
        MeasureNet(*executor, data, session.dataset.num_classes(), config, watched.Sink(sink));
    MASE_RETURN_IF_ERROR(watched.Ending(tested.status()));
    measured = *std::move(tested);
  }
  const Evaluation& evaluation = measured.evaluation;
  ReportMeasurement(measured, stage, split, names, session.report);
  if (session.html) {
    MASE_ASSIGN_OR_RETURN(session.picture, DescribeNet(graph, session.report));
  }
  MASE_RETURN_IF_ERROR(ReportNeededFigures(graph, *executor, data.features, stage, session.report));
  MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(split));
  session.report.mutable_data()->set_description(caption);
  (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(split))] =
      static_cast<uint32_t>(evaluation.samples);

  // The digits of the float32 that MASE's users quote: 0.5499944090843201.
  Table table({{"Test metric"}, {"DataLoader 0"}});
  table.AddRow({"test_acc_epoch", ShortestNumber(evaluation.accuracy)});
  table.AddRow({"test_loss_epoch", ShortestNumber(static_cast<float>(evaluation.loss))});
  session.reporter().Print(absl::StrCat("Data set '", session.dataset.name(), "': ", caption, ", ",
                                        WithCommas(evaluation.correct), " of ",
                                        WithCommas(evaluation.samples), " correct\n", table.Boxed(),
                                        ClassificationText(measured.classification, names)));
  return evaluation;
}

}  // namespace mase
