#include "mase/cli/info_action.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/data/open_dataset.h"
#include "mase/model/zoo.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/run/open_model.h"
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

// What the nets of a family of the zoo are made for.
struct Frame {
  Shape input;
  int64_t classes;
};
Frame FrameOf(absl::string_view model) {
  for (const ZooEntry& entry : ZooModels()) {
    if (entry.name == model && entry.family != "jet substructure") return {{3, 32, 32}, 10};
  }
  return {{16}, 5};
}

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

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    MASE_ASSIGN_OR_RETURN(Graph graph, OpenNet(settings.config));
    MASE_ASSIGN_OR_RETURN(const std::unique_ptr<PluginLoader> loader, PluginLoader::Create());
    google::protobuf::RepeatedPtrField<PassConfig> passes;
    passes.Add()->set_name(kSummaryPass);
    MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, BuildPipeline(passes, *loader));
    ShowingHost host(reporter());
    RunResult run = {.report = begun};
    run.status = RunPipeline(pipeline, graph, host, &run.report);
    return Finish(run);
  }

 private:
  absl::StatusOr<Graph> OpenNet(const RunConfig& config) {
    MASE_ASSIGN_OR_RETURN(const auto opened, OpenCheckpoint(config.model(), reporter()));
    DatasetInfo data;
    MASE_RETURN_IF_ERROR(FillFrame(config, &data));
    TorchGenerator generator(config.seed());
    return OpenModel(config, data, opened, generator, reporter());
  }

  // The input and the classes that the net is built for.
  absl::Status FillFrame(const RunConfig& config, DatasetInfo* data) {
    const std::string& model = config.model().name();
    Frame frame = FrameOf(model);
    if (!config.dataset().name().empty()) {
      MASE_ASSIGN_OR_RETURN(const Dataset dataset, OpenDataset(config.dataset()));
      frame = {dataset.info().sample_shape, dataset.num_classes()};
    }
    if (flags_.input_shape_size() > 0) {
      frame.input = Shape();
      for (const int32_t extent : flags_.input_shape()) frame.input.push_back(extent);
    }
    if (flags_.classes() > 0) frame.classes = flags_.classes();
    data->sample_shape = frame.input;
    data->class_names.resize(frame.classes);
    if (!config.model().has_load_name()) {
      reporter().Info(absl::StrCat("Inputs of ", frame.input.ToString(), ", ", frame.classes,
                                   " classes; --input_shape and --classes say otherwise"));
    }
    return absl::OkStatus();
  }

  InfoFlags flags_;
};

}  // namespace

std::unique_ptr<Action> MakeInfoAction() { return std::make_unique<InfoAction>(); }

}  // namespace mase
