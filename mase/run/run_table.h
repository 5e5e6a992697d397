// A table of runs: one row each, columns by name.
#ifndef MASE_RUN_RUN_TABLE_H_
#define MASE_RUN_RUN_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/run/finished_run.h"

namespace mase {

// The columns of a table whose reader asks for none.
std::vector<std::string> DefaultRunColumns();

// A column is
//   run, path, action, status, error, model, data, rows, seed, started, best_epoch, goals, warnings
//   low, high               the ends of the accuracy's 95 % interval
//   settings.SETTING        settings.learning_rate: of the effective settings
//   a figure (figure.h)     accuracy, original.accuracy, calculate_bitops.total.forward_bitops
// and is empty for a run that has none. `sort` is a column, too, shown or not, ascending; with a
// "-" in front descending; "" keeps the order. Runs without it come last.
//
// InvalidArgument: a column that no run has, with the nearest name.
absl::StatusOr<Table> RunTable(absl::Span<const FinishedRun> runs,
                               const std::vector<std::string>& columns, absl::string_view sort);

}  // namespace mase

#endif  // MASE_RUN_RUN_TABLE_H_
