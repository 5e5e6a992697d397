// `ch plugins`: what plugins there are, what one has, whether one keeps the rules.
#ifndef MASE_CLI_PLUGINS_ACTION_H_
#define MASE_CLI_PLUGINS_ACTION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mase {

// `words` are those behind the action's name; all that it finds is printed.
//
//   list [FILE.so ...]       a table: name, version, where from, what each registers
//   describe NAME|FILE.so    one plugin with the manuals of its passes
//   check FILE.so ...        the conformance kit (mase/plugin/conformance.h); ends with
//                            "N passed, N failed"
//
// with the flags of PluginsFlags (proto/flags.proto), which mean what they mean for runs.
//
// InvalidArgument for other words; NotFound for an unknown name; PluginLoader's errors;
// FailedPrecondition if a check failed.
absl::Status RunPlugins(const std::vector<std::string>& words);

}  // namespace mase

#endif  // MASE_CLI_PLUGINS_ACTION_H_
