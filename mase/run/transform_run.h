// A transform as a value: settings in, a run directory and a report out.
#ifndef MASE_RUN_TRANSFORM_RUN_H_
#define MASE_RUN_TRANSFORM_RUN_H_

#include "mase/run/run.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// Runs the passes of the settings on their net; measures it before and after, unless
// evaluation.enabled is false; writes what it became, transformed.safetensors, into a directory of
// its own. InvalidArgument: no passes; the errors of CreatePasses, OpenSession,
// RunDirectory::Create and RunPasses; OutOfRange: a loss that is no finite number.
RunResult TransformRun(const RunConfig& config, const RunReport& begun,
                       const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_TRANSFORM_RUN_H_
