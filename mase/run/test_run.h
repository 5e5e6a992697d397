// A test as a value: settings in, a run directory and a report out.
#ifndef MASE_RUN_TEST_RUN_H_
#define MASE_RUN_TEST_RUN_H_

#include <string>

#include "mase/run/run.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// Measures the checkpoint that the settings load on their split and writes a directory of its own.
// `predictions`, if not "", is an absolute path that gets what the net says of each row
// (predictions.h). InvalidArgument: no checkpoint; the errors of CheckPredictionsPath, OpenSession
// and OpenSplit; Cancelled: interrupted; OutOfRange: a loss that is no finite number.
RunResult TestRun(const RunConfig& config, const std::string& predictions, const RunReport& begun,
                  const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_TEST_RUN_H_
