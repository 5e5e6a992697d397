// `ch export FORM --load=CHECKPOINT --out=FILE`: a net as a file of other tools.
#ifndef MASE_CLI_EXPORT_ACTION_H_
#define MASE_CLI_EXPORT_ACTION_H_

#include <memory>
#include <string>

#include "mase/cli/main.h"

namespace mase {

// `form` is the word behind `export`; "" where there is none.
std::unique_ptr<Action> MakeExportAction(const std::string& form);

}  // namespace mase

#endif  // MASE_CLI_EXPORT_ACTION_H_
