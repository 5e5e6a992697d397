// How a run computes its net, proves it, and times it: --execution, --report_execution,
// --require_int8 and --benchmark (docs/integer.md).
#ifndef MASE_RUN_EXECUTION_H_
#define MASE_RUN_EXECUTION_H_

#include "absl/status/status.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/run/run.h"
#include "mase/run/session.h"
#include "mase/tensor/tensor.h"
#include "proto/config.pb.h"

namespace mase {

// The executor of a net that is measured, as the settings say. It ends where the run is
// interrupted.
ExecutorOptions ExecutorOptionsOf(const RunConfig& config, const RunEnvironment& environment);

// The same of a test of a net as it was trained: in bfloat16, where the settings ask for that and
// not for codes, which have no such arithmetic.
ExecutorOptions TestOptionsOf(const RunConfig& config, const RunEnvironment& environment);

// What the settings want to know of how `graph` was computed on `features`, [rows, ...], with
// `options`: tells tables, fills in the report. Nothing if they want nothing. Aborted, naming the
// nodes with reason, if they require integers and something ran otherwise; the report is told
// before. Cancelled, saying what was measured, where the run is interrupted.
absl::Status ReportExecution(const RunConfig& config, ExecutorOptions options, const Graph& graph,
                             const Tensor& features, Session& session);

// Where there are no rows to run: Aborted if the settings require integers, which nothing proved.
absl::Status CheckNothingRequired(const RunConfig& config);

}  // namespace mase

#endif  // MASE_RUN_EXECUTION_H_
