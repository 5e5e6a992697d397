// `sweep ACTION`: many runs of an action that differ in some settings.
#ifndef MASE_CLI_SWEEP_ACTION_H_
#define MASE_CLI_SWEEP_ACTION_H_

#include <memory>
#include <string>

#include "mase/cli/main.h"

namespace mase {

// `swept` is "transform", "train" or "test"; anything else is an error when it runs.
std::unique_ptr<Action> MakeSweepAction(const std::string& swept);

}  // namespace mase

#endif  // MASE_CLI_SWEEP_ACTION_H_
