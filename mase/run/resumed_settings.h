// With which settings a training goes on.
#ifndef MASE_RUN_RESUMED_SETTINGS_H_
#define MASE_RUN_RESUMED_SETTINGS_H_

#include "absl/status/statusor.h"
#include "mase/config/config.h"
#include "mase/run/run_directory.h"
#include "proto/config.pb.h"

namespace mase {

struct ResumedSettings {
  RunConfig config;
  bool changed = false;  // Against those in the run's directory.
};

// The settings that a run was begun with, and on top of them those that were given besides
// --resume: they must be of those that may change (docs/training.md, Going on) or say the same.
// InvalidArgument, listing those that do not; the errors of ConfigBuilder::AddFile.
absl::StatusOr<ResumedSettings> SettingsOf(const RunDirectory& run, const LoadedConfig& given,
                                           const ConfigRequest& request);

}  // namespace mase

#endif  // MASE_RUN_RESUMED_SETTINGS_H_
