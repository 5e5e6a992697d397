#include "mase/run/lone_net.h"

#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/random.h"
#include "mase/base/status_macros.h"
#include "mase/data/dataset.h"
#include "mase/data/open_dataset.h"
#include "mase/model/zoo.h"
#include "mase/run/open_model.h"

namespace mase {
namespace {

// What the nets of a family of the zoo are made for.
NetFrame FrameOf(absl::string_view model) {
  for (const ZooEntry& entry : ZooModels()) {
    if (entry.name == model && entry.family != "jet substructure") return {{3, 32, 32}, 10};
  }
  return {{16}, 5};
}

}  // namespace

absl::StatusOr<Graph> OpenLoneNet(const RunConfig& config, const NetFrame& frame,
                                  Reporter& reporter) {
  if (frame.classes > limits::kMaxClasses) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "--classes=", frame.classes, ": more than the limit of ", limits::kMaxClasses));
  }
  MASE_ASSIGN_OR_RETURN(const auto opened, OpenCheckpoint(config.model(), reporter));
  NetFrame built_for = FrameOf(config.model().name());
  if (!config.dataset().name().empty()) {
    MASE_ASSIGN_OR_RETURN(const Dataset dataset, OpenDataset(config.dataset()));
    built_for = {dataset.info().sample_shape, dataset.num_classes()};
  }
  if (frame.sample.rank() > 0) built_for.sample = frame.sample;
  if (frame.classes > 0) built_for.classes = frame.classes;
  if (!config.model().has_load_name()) {
    reporter.Info(absl::StrCat("Inputs of ", built_for.sample.ToString(), ", ", built_for.classes,
                               " classes; --input_shape and --classes say otherwise"));
  }
  DatasetInfo data;
  data.sample_shape = built_for.sample;
  data.class_names.resize(built_for.classes);
  TorchGenerator generator(config.seed());
  return OpenModel(config, data, opened, generator, reporter);
}

}  // namespace mase
