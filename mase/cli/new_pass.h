// `ch new_pass`: the beginning of a plugin.
#ifndef MASE_CLI_NEW_PASS_H_
#define MASE_CLI_NEW_PASS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mase {

// NAME [--kind=analysis|transform|format|op|metric|sampler] [--build=cmake|bazel]: makes the folder
// NAME with a plugin (sdk/templates) that builds against the SDK that this program is part of and
// passes its check at once, and prints what to do next. Without flags an analysis, built by CMake.
//
// InvalidArgument for other words, and where the program is part of no SDK; AlreadyExists if there
// is such a folder; else the errors of writing.
absl::Status NewPass(const std::vector<std::string>& words);

}  // namespace mase

#endif  // MASE_CLI_NEW_PASS_H_
