// The plugins of a command line and of the settings that it names.
#ifndef MASE_CLI_PLUGIN_FLAGS_H_
#define MASE_CLI_PLUGIN_FLAGS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "mase/config/arguments.h"
#include "mase/plugin/plugin_loader.h"
#include "proto/config.pb.h"

namespace mase {

// A loader with the plugins of the settings, those of the run that --resume goes on with, and those
// of --plugins, `flagged`; `recorded` are the settings of a pass that is run again, unless null.
// Where these were stricter (isolation, plugin_dirs, pass_timeout), that holds. It is made before
// the passes of the settings are read, as these may be of plugins. Errors of LoadConfig come first.
// Errors of PluginLoader; PermissionDenied for a flag that names a file without its folder, as
// nothing is opened from the working directory by chance.
absl::StatusOr<std::unique_ptr<PluginLoader>> OpenPlugins(
    const Arguments& arguments, const google::protobuf::RepeatedPtrField<std::string>& flagged,
    const RunConfig* recorded = nullptr);

// Puts into the settings all third-party plugins that are open, with their SHA-256, and the policy
// under which they were opened: they are part of what the run does.
void PinPlugins(const PluginLoader& loader, RunConfig& config);

}  // namespace mase

#endif  // MASE_CLI_PLUGIN_FLAGS_H_
