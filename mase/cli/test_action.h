// `test`: measures a trained or transformed net.
#ifndef MASE_CLI_TEST_ACTION_H_
#define MASE_CLI_TEST_ACTION_H_

#include <memory>

#include "mase/cli/main.h"

namespace mase {

std::unique_ptr<Action> MakeTestAction();

}  // namespace mase

#endif  // MASE_CLI_TEST_ACTION_H_
