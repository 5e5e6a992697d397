// Puts what a plugin brings into the tables of the program.
#ifndef MASE_PLUGIN_COMMIT_H_
#define MASE_PLUGIN_COMMIT_H_

#include "absl/status/status.h"
#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_index.pb.h"

namespace mase {

// All that is no pass: formats, ops with their kernels, metrics, data readers, samplers; all or, on
// an error, nothing. The tables are the process's, and loaders come and go (a persistent worker has
// one for each request): `plugin`, the address of its MasePluginInfo, which is one for each open
// library, tells a plugin that is there already, and then OK is all that happens. Errors of
// CheckPluginFamily, CheckPluginOp, CheckPluginKernels, RegisterMetric, RegisterDataReader and
// RegisterSampler;
// AlreadyExists for a name that the plugin itself has twice.
absl::Status CommitToTables(const void* plugin, const Registrations& registrations);

// What there is of all that, passes included, for indexes and listings.
void Describe(const Registrations& registrations, PluginEntry* entry);
PassEntry Describe(const PassInfo& info);

}  // namespace mase

#endif  // MASE_PLUGIN_COMMIT_H_
