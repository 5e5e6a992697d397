// A training as a value: settings in, a run directory and a report out.
#ifndef MASE_RUN_TRAIN_RUN_H_
#define MASE_RUN_TRAIN_RUN_H_

#include "mase/config/config.h"
#include "mase/run/run.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// Runs the passes of the settings, if there are any, on their net; trains it
// (mase/train/trainer.h); tests the best of its epochs; all in a directory of its own. The errors
// of CreatePasses, OpenSession, Trainer::Create and RunDirectory::Create; Cancelled: interrupted,
// the message says how to go on; OutOfRange: a loss or a weight that is no finite number.
RunResult TrainRun(const RunConfig& config, const RunReport& begun,
                   const RunEnvironment& environment);

// Goes on with the training in the directory `given.config.resume()`, with the settings that it was
// begun with and those that were given now (resumed_settings.h). One that died before its first
// checkpoint begins anew. Ends as the training that never stopped would have, bit for bit.
RunResult ResumeTraining(const LoadedConfig& given, const ConfigRequest& request,
                         const RunReport& begun, const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_TRAIN_RUN_H_
