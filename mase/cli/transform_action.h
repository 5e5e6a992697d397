// `transform`: loads a net, runs the configured passes, measures before and after.
#ifndef MASE_CLI_TRANSFORM_ACTION_H_
#define MASE_CLI_TRANSFORM_ACTION_H_

#include <memory>

#include "mase/cli/main.h"

namespace mase {

std::unique_ptr<Action> MakeTransformAction();

}  // namespace mase

#endif  // MASE_CLI_TRANSFORM_ACTION_H_
