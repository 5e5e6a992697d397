// Many runs that differ in some settings, in one folder, with one table of what came of them.
//
// The folder has a run's directory for each point (sweep_points.h) and, written anew after every
// run, sweep.csv, sweep.md and sweep.json with a row a point and the picture sweep.svg
// (sweep_table.h). The runs share what they open of their data.
//
// A sweep that was stopped, also by kill -9, goes on when it is begun again in its folder: finished
// runs are kept, a training goes on from its last checkpoint, other unfinished runs begin anew.
#ifndef MASE_RUN_SWEEP_H_
#define MASE_RUN_SWEEP_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "mase/config/config.h"
#include "mase/run/run.h"
#include "mase/run/sweep_points.h"

namespace mase {

struct SweepRequest {
  std::string action;  // "transform", "train" or "test".
  SweepPoints points;
  std::vector<LoadedConfig> settings;  // Of each point.
  ConfigRequest config_request;        // With which the settings were read.
  int jobs = 1;                        // Runs at the same time; each gets its share of the threads.
  std::vector<std::string> command_line;  // For the runs' reports.
  std::string junit;  // The file for the goals of all runs, a suite a run; "": none.
};

struct SweepResult {
  // OK: all points are done. Unknown: runs failed, each is a row of the table with its error.
  // Aborted: all ran, some missed a goal. Cancelled: interrupted, the same again goes on.
  // InvalidArgument, before anything runs: the settings of a point are no good, or the folder has
  // another run of that name. AlreadyExists: the folder is no sweep's, or has runs that this one
  // has not. DataLoss: the summary of a run is damaged. Unavailable: another process
  // is at it. Else errors of writing.
  absl::Status status;
  std::string directory;  // "" where it failed before.
  std::string json;       // As sweep.json.
};

// What can be known to be wrong with the points before anything runs: passes, checkpoints, nets and
// data sets of each, with the name of the point in front.
absl::Status CheckPoints(const SweepRequest& request, const RunEnvironment& environment);

// The folder is run_dir of the first point's settings, or a new one of the project. Each run's end
// is told to the reporter, then the table.
SweepResult RunSweep(const SweepRequest& request, const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_SWEEP_H_
