// The test of a net as MASE prints it.
#ifndef MASE_RUN_TEST_METRICS_H_
#define MASE_RUN_TEST_METRICS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/exec/evaluation.h"
#include "mase/run/session.h"

namespace mase {

// Runs `graph` on all rows of the session's split with the batch size and precision of `config` (64
// and 16-mixed mean 32 here), tells the table of test_acc_epoch and test_loss_epoch in full
// float32 precision with what was measured and how the classes fared (measure.h), and adds all
// that to the report under `stage`. Cancelled if interrupted; what is not measured by then is not
// told. A loss that is no finite number is told, reported, and then for the caller to judge
// (CheckMeasured). `sink`, if not null, gets the raw outputs.
absl::StatusOr<Evaluation> TestAndReport(Session& session, const Graph& graph, Split split,
                                         const RunConfig& config, absl::string_view stage,
                                         const OutputSink<float>& sink = nullptr);

// The same run of rows that may have no classes, for what `sink` gets: nothing is measured.
absl::Status Predict(Session& session, const Graph& graph, Split split, const RunConfig& config,
                     const OutputSink<float>& sink);

}  // namespace mase

#endif  // MASE_RUN_TEST_METRICS_H_
