// What the source of a plugin includes.
//
//   absl::Status Register(PassRegistrar& registrar) {
//     return registrar.AddPass<RemoveIdentityPass>(
//         "remove_identity", "Deletes nodes that only forward their input.");
//   }
//   MASE_DEFINE_PLUGIN("remove_identity", "1.0.0", Register)
//
// The name is the shared object's file name without ".so". Who answers for it and whether it is
// done, as `ch plugins describe` prints them, are fields that may follow (MasePluginInfo):
//
//   MASE_DEFINE_PLUGIN("count_flops", "0.3.0", Register, .owner = "Ann, ann@example.org",
//                      .status = "experimental")
//
// One source makes the shared object and, for unit tests, an ordinary library (plugin.bzl).
#ifndef MASE_PLUGIN_PLUGIN_H_
#define MASE_PLUGIN_PLUGIN_H_

#if __cplusplus < 202002L
#error "Plugins of MASE are C++20: compile them with -std=c++20."
#endif

#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_info.h"

namespace mase {

// A plugin that was linked in as a library: found by RegisterLinkedPlugins.
class LinkedPlugin {
 public:
  explicit LinkedPlugin(const MasePluginInfo* info);
};

// Registers the passes of all plugins that this program links as libraries.
absl::Status RegisterLinkedPlugins(PassRegistry& registry);

}  // namespace mase

#define MASE_DEFINE_PLUGIN(plugin_name, plugin_version, register_function, ...)                 \
  namespace {                                                                                   \
  constexpr MasePluginInfo kMasePluginInfo = {.struct_size = sizeof(MasePluginInfo),            \
                                              .abi_version = ::mase::kMasePluginAbiVersion,     \
                                              .name = plugin_name,                              \
                                              .version = plugin_version,                        \
                                              .register_passes = [](::mase::PassRegistrar* r) { \
                                                r->Run(register_function);                      \
                                              } __VA_OPT__(, ) __VA_ARGS__};                    \
  }                                                                                             \
  MASE_EXPORT_PLUGIN_

// Defined by plugin.bzl for the library form: many of those share one program, so
// they cannot all define the C symbol.
#ifdef MASE_PLUGIN_AS_LIBRARY
#define MASE_EXPORT_PLUGIN_ static const ::mase::LinkedPlugin mase_linked_plugin(&kMasePluginInfo);
#else
#define MASE_EXPORT_PLUGIN_               \
  MASE_SIGN_PLUGIN_(MASE_BUILD_SIGNATURE) \
  extern "C" const MasePluginInfo* MasePluginGetInfo(void) { return &kMasePluginInfo; }
#endif

#endif  // MASE_PLUGIN_PLUGIN_H_
