#include "mase/cli/test_action.h"

#include <memory>
#include <string>

#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/cli/plugin_flags.h"
#include "mase/run/predictions.h"
#include "mase/run/test_run.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

class TestAction : public Action {
 public:
  absl::string_view name() const override { return "test"; }
  absl::string_view summary() const override {
    return "measure a trained or transformed net on the test split";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:test -- jsc-tiny jsc-sim --load=run/best.safetensors\n"
           "./bazelw run //mase:test -- jsc-tiny jsc --load=best.safetensors "
           "--predictions=out.csv\n";
  }

  google::protobuf::Message* own_flags() override { return &flags_; }
  ConfigRequest config_request() const override { return {nullptr, /*read_passes=*/false}; }

  absl::StatusOr<bool> Prepare() override {
    MASE_ASSIGN_OR_RETURN(loader_, OpenPlugins(arguments(), flags_.plugins()));
    if (flags_.predictions().empty()) return false;
    MASE_ASSIGN_OR_RETURN(predictions_path_, UserPath(flags_.predictions()));
    MASE_RETURN_IF_ERROR(CheckPredictionsPath(predictions_path_));
    return false;
  }

  void Settle(RunConfig& config) const override { PinPlugins(*loader_, config); }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    const RunEnvironment environment = {.reporter = reporter(),
                                        .watch_interrupt = watch_interrupt()};
    return Finish(TestRun(settings.config, predictions_path_, begun, environment));
  }

 private:
  TestFlags flags_;
  std::unique_ptr<PluginLoader> loader_;  // Of formats, ops, metrics and readers: it runs no pass.
  std::string predictions_path_;
};

}  // namespace

std::unique_ptr<Action> MakeTestAction() { return std::make_unique<TestAction>(); }

}  // namespace mase
