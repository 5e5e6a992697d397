#include "mase/run/test_metrics.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/progress.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/exec/class_counts.h"
#include "mase/exec/executor.h"
#include "mase/run/class_lines.h"
#include "mase/train/training_log.h"

namespace mase {
namespace {

absl::StatusOr<std::unique_ptr<Executor>> MakeExecutor(const Graph& graph,
                                                       const RunConfig& config) {
  return Executor::Create(graph, {.bfloat16 = config.trainer_precision() == "bf16"});
}

absl::StatusOr<Evaluation> RunRows(const RunEnvironment& environment, Executor& executor,
                                   const Tensor& features, const Tensor& labels,
                                   const RunConfig& config, const std::string& doing,
                                   const OutputSink<float>& sink) {
  const std::atomic<bool>* interrupted =
      environment.watch_interrupt ? &environment.watch_interrupt() : nullptr;
  Progress progress(doing, labels.elements(), "row", environment.reporter.progress());
  return Evaluate(executor, features, labels, config.batch_size(),
                  [&](int64_t first_row, absl::Span<const float> outputs) {
                    progress.Update(first_row);
                    if (interrupted != nullptr && *interrupted)
                      return absl::CancelledError("interrupted");
                    return sink ? sink(first_row, outputs) : absl::OkStatus();
                  });
}

}  // namespace

absl::Status Predict(Session& session, const Graph& graph, Split split, const RunConfig& config,
                     const OutputSink<float>& sink) {
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  MASE_ASSIGN_OR_RETURN(const auto executor, MakeExecutor(graph, config));
  // Evaluate wants classes; what it finds of these is not looked at.
  const Tensor none = Tensor::Zeros(DType::kInt64, {data.rows()});
  MASE_RETURN_IF_ERROR(
      RunRows(session.environment, *executor, data.features, none, config, "predicting", sink)
          .status());
  (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(split))] =
      static_cast<uint32_t>(data.rows());
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> TestAndReport(Session& session, const Graph& graph, Split split,
                                         const RunConfig& config, absl::string_view stage,
                                         const OutputSink<float>& sink) {
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  WarnOfFigures(split, data, session);
  MASE_ASSIGN_OR_RETURN(const auto executor, MakeExecutor(graph, config));
  const std::vector<std::string>& names = session.dataset.info().class_names;
  ClassCounts counts(data.labels.data<int64_t>(), session.dataset.num_classes());
  MASE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                        RunRows(session.environment, *executor, data.features, data.labels, config,
                                "testing", [&](int64_t first_row, absl::Span<const float> outputs) {
                                  counts.Add(first_row, outputs, executor->output_shape()[1]);
                                  return sink ? sink(first_row, outputs) : absl::OkStatus();
                                }));
  ReportMetrics(evaluation, stage, split, session.report);
  ReportClasses(counts, names, session.report);
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
                                        ClassLines(counts, names)));
  return evaluation;
}

}  // namespace mase
