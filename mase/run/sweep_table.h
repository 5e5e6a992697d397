// What came of a sweep, as table, JSON and picture.
#ifndef MASE_RUN_SWEEP_TABLE_H_
#define MASE_RUN_SWEEP_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/run/sweep_points.h"
#include "proto/report.pb.h"

namespace mase {

// How one run of a sweep fared.
struct SweepRow {
  std::string run;                 // Its folder, relative to the sweep's.
  std::string status = "waiting";  // Then "running", then as RunReport.status.
  std::string error;
  std::vector<std::pair<std::string, double>> figures;  // Finite ones.
  double seconds = 0;                                   // Of the run; 0 until it has ended.
};

// Takes status, error, time and figures from a run's report. Figures are the metrics of the net as
// the run left it (accuracy, loss), those of the net as it came as original_accuracy, and of a
// training those of its best epoch: validation_accuracy, validation_loss, train_loss. Behind them
// are the numbers that passes found, by their way in the report:
// calculate_bitops.total.forward_bitops.
void FillSweepRow(const RunReport& report, SweepRow& row);

// A row a point: the values of its settings (columns have as much of the ends of their paths as
// tells them apart, weight_width for passes.quantize.linear.weight_width), its figures, seconds,
// status, folder and error.
Table SweepTable(absl::string_view action, const SweepPoints& points,
                 absl::Span<const SweepRow> rows);

// {"action": ..., "points": [{"run": ..., "status": ..., "settings": {...}, "metrics": {...},
// "seconds": ..., "error": ...}, ...]}, numbers as numbers.
std::string SweepJson(absl::string_view action, const SweepPoints& points,
                      absl::Span<const SweepRow> rows);

// An SVG of the accuracy, or where no run has one of the loss: for two settings a heat map, for
// others curves over the setting with the most values, one for each combination of the other
// settings; runs without the figure are gaps. "" if no run has either.
std::string SweepPlot(absl::string_view action, const SweepPoints& points,
                      absl::Span<const SweepRow> rows);

}  // namespace mase

#endif  // MASE_RUN_SWEEP_TABLE_H_
