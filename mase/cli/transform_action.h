// `transform`: loads a net, runs the configured passes, measures before and after.
#ifndef MASE_CLI_TRANSFORM_ACTION_H_
#define MASE_CLI_TRANSFORM_ACTION_H_

#include <memory>
#include <string>

#include "mase/cli/main.h"

namespace mase {

std::unique_ptr<Action> MakeTransformAction();

// The same for --help by the name and with the summary of an action that is a transform of a kind:
// "profile", "statistics of weights and activations".
std::unique_ptr<Action> MakeTransformAction(std::string command, std::string summary);

}  // namespace mase

#endif  // MASE_CLI_TRANSFORM_ACTION_H_
