// Runs that are over, read back from their directories: for tables, comparisons, plots and pages.
#ifndef MASE_RUN_FINISHED_RUN_H_
#define MASE_RUN_FINISHED_RUN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "mase/train/training_log.h"
#include "proto/report.pb.h"

namespace mase {

// Status of a report for a run that wrote settings but no summary: it died, or it goes on.
inline constexpr char kUnfinished[] = "unfinished";

struct FinishedRun {
  std::string path;  // As it was given, or that with the folders below it.
  std::string name;  // The last folders of the path, as few as tell it from the others.
  RunReport report;
  std::vector<EpochRecord> history;  // Of a training; else empty.
};

struct FinishedRuns {
  std::vector<FinishedRun> runs;  // In the order given; each once.
  // What was named but cannot be read, a line each with what is missing: NotFound or DataLoss.
  absl::Status problems;
};

// Reads the runs that the paths stand for: a run's directory or a link to one for that run, another
// folder for all runs at most three levels below it, by name. A run that failed is a run.
FinishedRuns ReadRuns(absl::Span<const std::string> paths);

}  // namespace mase

#endif  // MASE_RUN_FINISHED_RUN_H_
