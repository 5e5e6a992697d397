// `ch info MODEL`: a net's layers, shapes, parameters and multiply-accumulates, without data.
#ifndef MASE_CLI_INFO_ACTION_H_
#define MASE_CLI_INFO_ACTION_H_

#include <memory>

#include "mase/cli/main.h"

namespace mase {

std::unique_ptr<Action> MakeInfoAction();

}  // namespace mase

#endif  // MASE_CLI_INFO_ACTION_H_
