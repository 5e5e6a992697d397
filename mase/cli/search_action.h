// `ch search`: the best settings of a search space (docs/search.md).
#ifndef MASE_CLI_SEARCH_ACTION_H_
#define MASE_CLI_SEARCH_ACTION_H_

#include <memory>

#include "mase/cli/main.h"

namespace mase {

std::unique_ptr<Action> MakeSearchAction();

}  // namespace mase

#endif  // MASE_CLI_SEARCH_ACTION_H_
