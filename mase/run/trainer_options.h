// The trainer of a run, as its settings say.
#ifndef MASE_RUN_TRAINER_OPTIONS_H_
#define MASE_RUN_TRAINER_OPTIONS_H_

#include "mase/run/run.h"
#include "mase/train/trainer.h"
#include "proto/config.pb.h"

namespace mase {

// The trainer says what it does to the environment's reporter, and stops where that says so; both
// outlive it.
TrainerOptions TrainerOptionsOf(const RunConfig& config, const RunEnvironment& environment);

}  // namespace mase

#endif  // MASE_RUN_TRAINER_OPTIONS_H_
