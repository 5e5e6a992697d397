// The process that runs the passes of a plugin, from inside.
#ifndef MASE_PLUGIN_SERVE_PLUGIN_H_
#define MASE_PLUGIN_SERVE_PLUGIN_H_

#include <optional>

namespace mase {

// For the first line of a program's main:
//
//   if (const auto code = ServePluginIfAsked(argc, argv)) return *code;
//
// Where this process was started to run the passes of a plugin (plugin_process.h) it enters its
// sandbox, does so until the host hangs up, and gives the exit code. Else nothing: plugins that the
// program opens may run in processes of their own from then on.
std::optional<int> ServePluginIfAsked(int argc, char** argv);

}  // namespace mase

#endif  // MASE_PLUGIN_SERVE_PLUGIN_H_
