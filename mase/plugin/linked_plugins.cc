#include <vector>

#include "mase/base/status_macros.h"
#include "mase/plugin/commit.h"
#include "mase/plugin/plugin.h"

namespace mase {
namespace {

// Filled before main, in whatever order: a function's static is made when first used.
std::vector<const MasePluginInfo*>& LinkedPlugins() {
  static auto* plugins = new std::vector<const MasePluginInfo*>;
  return *plugins;
}

}  // namespace

LinkedPlugin::LinkedPlugin(const MasePluginInfo* info) { LinkedPlugins().push_back(info); }

absl::Status RegisterLinkedPlugins(PassRegistry& registry) {
  for (const MasePluginInfo* plugin : LinkedPlugins()) {
    PassRegistrar registrar(plugin->name);
    plugin->register_passes(&registrar);
    MASE_RETURN_IF_ERROR(registrar.status());
    MASE_RETURN_IF_ERROR(CommitToTables(plugin, registrar.registrations()));
    for (const PassInfo& pass : registrar.passes()) MASE_RETURN_IF_ERROR(registry.Add(pass));
  }
  return absl::OkStatus();
}

}  // namespace mase
