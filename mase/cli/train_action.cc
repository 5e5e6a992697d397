#include "mase/cli/train_action.h"

#include <memory>

#include "mase/cli/pass_action.h"
#include "mase/run/train_run.h"

namespace mase {
namespace {

class TrainAction : public PassAction {
 public:
  absl::string_view name() const override { return "train"; }
  absl::string_view summary() const override {
    return "run the passes of a config, if there are any, on a net and train it; validate each "
           "epoch, test the best";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:train -- jsc-tiny jsc-sim --max-epochs 10 --batch-size 256\n"
           "./bazelw run //mase:train -- jsc-toy jsc-sim --learning-rate 1e-3 --run_dir=run\n"
           "./bazelw run //mase:train -- \"BN, ReLU, Linear 32, ReLU, Linear 5\" jsc-sim "
           "--validation_split=0.1\n"
           "./bazelw run //mase:train -- --config=my.toml --load=run/best.safetensors\n"
           "./bazelw run //mase:train -- --resume=run\n";
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    return Finish(settings.config.has_resume()
                      ? ResumeTraining(settings, config_request(), begun, environment())
                      : TrainRun(settings.config, begun, environment()));
  }
};

}  // namespace

std::unique_ptr<Action> MakeTrainAction() { return std::make_unique<TrainAction>(); }

}  // namespace mase
