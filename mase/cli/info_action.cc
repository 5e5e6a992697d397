#include "mase/cli/info_action.h"

#include <memory>
#include <string>
#include <utility>

#include "mase/base/status_macros.h"
#include "mase/cli/plugin_flags.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/lone_net.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

constexpr char kSummaryPass[] = "summary";

// Shows what a pass says and keeps nothing.
class ShowingHost : public PassHost {
 public:
  explicit ShowingHost(Reporter& reporter) : reporter_(reporter) {}
  void Print(absl::string_view text) override { reporter_.Print(text); }
  void Show(const Table& table, absl::string_view) override { reporter_.Show(table, ""); }

 private:
  Reporter& reporter_;
};

class InfoAction : public Action {
 public:
  absl::string_view name() const override { return "info"; }
  absl::string_view summary() const override {
    return "show a net's layers, shapes, parameters and MACs; no data needed";
  }
  absl::string_view examples() const override {
    return "ch info jsc-tiny --batch_size=8\n"
           "ch info \"BN, ReLU, Linear 32, ReLU, Linear 5\" --input_shape=16 --classes=5\n"
           "ch info resnet18 --input_shape=3,224,224 --classes=1000 --batch_size=1\n"
           "ch info --load=best.safetensors\n";
  }
  google::protobuf::Message* own_flags() override { return &flags_; }
  bool makes_directory() const override { return false; }

  absl::StatusOr<bool> Prepare() override {
    MASE_ASSIGN_OR_RETURN(loader_, OpenPlugins(arguments(), flags_.plugins()));
    return false;
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    NetFrame frame = {.classes = flags_.classes()};
    for (const int32_t extent : flags_.input_shape()) frame.sample.push_back(extent);
    MASE_ASSIGN_OR_RETURN(Graph graph, OpenLoneNet(settings.config, frame, reporter()));
    google::protobuf::RepeatedPtrField<PassConfig> passes;
    passes.Add()->set_name(kSummaryPass);
    MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, BuildPipeline(passes, *loader_));
    ShowingHost host(reporter());
    RunResult run = {.report = begun};
    run.status = RunPipeline(pipeline, graph, host, &run.report);
    return Finish(run);
  }

 private:
  InfoFlags flags_;
  std::unique_ptr<PluginLoader> loader_;
};

}  // namespace

std::unique_ptr<Action> MakeInfoAction() { return std::make_unique<InfoAction>(); }

}  // namespace mase
