// What actions share that run the passes of their settings on a net.
#ifndef MASE_CLI_PASS_ACTION_H_
#define MASE_CLI_PASS_ACTION_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/cli/main.h"
#include "mase/cli/plugin_flags.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/run.h"
#include "proto/flags.pb.h"

namespace mase {

// An action with the flags of PassFlags (proto/flags.proto).
// Plugins are opened when the settings name one of their passes; settings without passes open none.
class PassAction : public Action {
 public:
  google::protobuf::Message* own_flags() override { return &flags_; }
  absl::StatusOr<bool> Prepare() override;
  void Settle(RunConfig& config) const override { PinPlugins(*loader_, config); }
  // Builds the passes and runs them without data on the net, for what they decide of each node.
  // Errors are those of reading the settings; a pass that fails is where the text ends.
  absl::Status Explain(const LoadedConfig& settings, const RunReport& begun) override;
  ConfigRequest config_request() const override;

 protected:
  // With the passes, and the instruments that the flags ask for. From Prepare on.
  RunEnvironment environment();

 private:
  std::unique_ptr<PluginLoader> loader_;
  PassFlags flags_;
};

}  // namespace mase

#endif  // MASE_CLI_PASS_ACTION_H_
