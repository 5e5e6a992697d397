#include "mase/cli/test_metrics.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/progress.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/class_lines.h"
#include "mase/cli/interrupt.h"
#include "mase/exec/class_counts.h"
#include "mase/exec/executor.h"
#include "mase/train/training_log.h"

namespace mase {

absl::StatusOr<Evaluation> TestAndReport(Session& session, const Graph& graph, Split split,
                                         const RunConfig& config, absl::string_view stage,
                                         const OutputSink<float>& sink) {
  MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
  MASE_ASSIGN_OR_RETURN(
      const auto executor,
      Executor::Create(graph, {.bfloat16 = config.trainer_precision() == "bf16"}));
  const std::atomic<bool>& interrupted = CatchInterrupt();
  Evaluation evaluation;
  ClassCounts counts(data.labels.data<int64_t>(), session.dataset.num_classes());
  {
    Progress progress("testing", data.rows(), "row");
    MASE_ASSIGN_OR_RETURN(evaluation,
                          Evaluate(*executor, data.features, data.labels, config.batch_size(),
                                   [&](int64_t first_row, absl::Span<const float> outputs) {
                                     progress.Update(first_row);
                                     if (interrupted) return absl::CancelledError("interrupted");
                                     counts.Add(first_row, outputs, executor->output_shape()[1]);
                                     return sink ? sink(first_row, outputs) : absl::OkStatus();
                                   }));
  }
  const std::vector<std::string>& names = session.dataset.info().class_names;
  ReportMetrics(evaluation, stage, split, session.report);
  ReportClasses(counts, names, session.report);
  MASE_ASSIGN_OR_RETURN(const std::string caption, session.dataset.Caption(split));
  session.report.mutable_data()->set_description(caption);
  (*session.report.mutable_data()->mutable_rows())[std::string(SplitName(split))] =
      static_cast<uint32_t>(evaluation.samples);

  // The digits of the float32 that MASE's users quote: 0.5499944090843201.
  Table table({"Test metric", "DataLoader 0"});
  table.AddRow({"test_acc_epoch", ShortestNumber(evaluation.accuracy)});
  table.AddRow({"test_loss_epoch", ShortestNumber(static_cast<float>(evaluation.loss))});
  std::printf("Data set '%s': %s, %s of %s correct\n%s%s", session.dataset.name().c_str(),
              caption.c_str(), WithCommas(evaluation.correct).c_str(),
              WithCommas(evaluation.samples).c_str(), table.Boxed().c_str(),
              ClassLines(counts, names).c_str());
  return evaluation;
}

}  // namespace mase
