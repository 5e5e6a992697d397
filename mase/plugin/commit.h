// Puts what a plugin brings into the tables of the program.
#ifndef MASE_PLUGIN_COMMIT_H_
#define MASE_PLUGIN_COMMIT_H_

#include "absl/status/status.h"
#include "mase/pass/pass_registry.h"
#include "mase/plugin/plugin_index.pb.h"

namespace mase {

// All that is no pass: formats, ops with their kernels, metrics, data readers; all or, on an error,
// nothing. Errors of CheckPluginFamily, CheckPluginOp, CheckPluginKernels, RegisterMetric and
// RegisterDataReader; AlreadyExists for a name that the plugin itself has twice.
absl::Status CommitToTables(const Registrations& registrations);

// What there is of all that, passes included, for indexes and listings.
void Describe(const Registrations& registrations, PluginEntry* entry);
PassEntry Describe(const PassInfo& info);

}  // namespace mase

#endif  // MASE_PLUGIN_COMMIT_H_
