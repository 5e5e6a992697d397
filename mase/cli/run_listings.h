// What one asks of runs that are over: a table of them, two side by side, their curves.
#ifndef MASE_CLI_RUN_LISTINGS_H_
#define MASE_CLI_RUN_LISTINGS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mase {

// `report DIR...`: prints a row a run (run_table.h), or writes it to --output; with --html a page.
// `words` are those behind the action's name. InvalidArgument for wrong words; NotFound or DataLoss
// for directories that are no runs, after the others are shown.
absl::Status ReportRuns(const std::vector<std::string>& words);

// `compare A B`: prints figures side by side, and whether the accuracies differ (compare_runs.h).
absl::Status CompareTwoRuns(const std::vector<std::string>& words);

// `plot DIR...`: writes the curves of trainings into one SVG and says where.
absl::Status PlotRuns(const std::vector<std::string>& words);

}  // namespace mase

#endif  // MASE_CLI_RUN_LISTINGS_H_
