// `train`: trains a net, tests the best of its epochs.
#ifndef MASE_CLI_TRAIN_ACTION_H_
#define MASE_CLI_TRAIN_ACTION_H_

#include <memory>

#include "mase/cli/main.h"

namespace mase {

std::unique_ptr<Action> MakeTrainAction();

}  // namespace mase

#endif  // MASE_CLI_TRAIN_ACTION_H_
