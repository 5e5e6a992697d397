#include "mase/cli/transform_action.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/cli/pass_action.h"
#include "mase/run/transform_run.h"

namespace mase {
namespace {

class TransformAction : public PassAction {
 public:
  absl::string_view name() const override { return "transform"; }
  absl::string_view summary() const override {
    return "run the passes of a config on a net; measure it before and after";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:transform -- --config=testdata/configs/jsc_tiny_integer.toml\n"
           "./bazelw run //mase:transform -- --config=testdata/configs/jsc_tiny_integer.toml "
           "--calibrate=compare\n"
           "./bazelw run //mase:transform -- jsc-toy jsc --config=my.toml --load=best.safetensors\n"
           "./bazelw run //mase:transform -- --config=my.toml "
           "--set passes.quantize.linear.config.weight_width=4\n"
           "./bazelw run //mase:transform -- \"BN, ReLU, Linear 32, ReLU, Linear 5\" jsc "
           "--config=my.toml --run_dir=out\n"
           "./bazelw run //mase:transform -- --list_passes --plugins=./my_pass.so\n";
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    return Finish(TransformRun(settings.config, begun, environment()));
  }
};

class NamedTransformAction final : public TransformAction {
 public:
  NamedTransformAction(std::string command, std::string summary)
      : command_(std::move(command)),
        summary_(std::move(summary)),
        examples_(absl::StrCat("ch ", command_,
                               " --config=testdata/configs/jsc_tiny_integer.toml\n", "ch ",
                               command_, " --config=my.toml --load=best.safetensors\n")) {}

  absl::string_view command() const override { return command_; }
  absl::string_view summary() const override { return summary_; }
  absl::string_view examples() const override { return examples_; }

 private:
  const std::string command_, summary_, examples_;
};

}  // namespace

std::unique_ptr<Action> MakeTransformAction(std::string command, std::string summary) {
  return std::make_unique<NamedTransformAction>(std::move(command), std::move(summary));
}

std::unique_ptr<Action> MakeTransformAction() { return std::make_unique<TransformAction>(); }

}  // namespace mase
