// Two runs, or two nets, side by side.
#ifndef MASE_RUN_COMPARE_RUNS_H_
#define MASE_RUN_COMPARE_RUNS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/table.h"
#include "mase/run/finished_run.h"

namespace mase {

// One side: what a run reports, what its net costs, or both.
struct ComparedRun {
  FinishedRun run;
  struct NetCosts {
    int64_t parameters = 0;
    int64_t macs = 0;        // Of one row.
    int64_t bitops = 0;      // Forward, of one row (mase/quantize/cost.h).
    double weight_bits = 0;  // Of a weight, on average.
    int64_t weight_bytes = 0;
  };
  std::optional<NetCosts> net;  // Unset: the run left no net.
};

// The directory of a run, with the net that CheckpointOfRun finds in it, or a checkpoint. Errors of
// ReadRuns and LoadCheckpoint; a run without a checkpoint is none.
absl::StatusOr<ComparedRun> OpenCompared(const std::string& path);

struct RunComparison {
  Table table;  // A row a figure: its name, that of both, the second less the first.
  std::string
      text;  // Whether the accuracies differ, on the same rows if both were counted on them.
};

RunComparison CompareRuns(const ComparedRun& first, const ComparedRun& second);

}  // namespace mase

#endif  // MASE_RUN_COMPARE_RUNS_H_
