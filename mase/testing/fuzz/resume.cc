// A training that goes on: with settings from a run's directory, and from a checkpoint with its
// state. An input is the settings (text proto), a zero byte, and the checkpoint.
#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "glog/logging.h"
#include "mase/config/config.h"
#include "mase/data/dataset.h"
#include "mase/data/row_sketch.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

// A run's directory, for as long as the program runs.
class RunFolder {
 public:
  RunFolder() : path_((std::filesystem::temp_directory_path() / "mase_resume_XXXXXX").string()) {
    CHECK(mkdtemp(path_.data()) != nullptr) << path_;
  }
  ~RunFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

SplitData SomeRows() {
  Tensor features(DType::kFloat32, {6, 2});
  Tensor labels(DType::kInt64, {6});
  for (int64_t i = 0; i < 12; ++i) {
    features.mutable_data<float>()[i] = static_cast<float>(i % 5) - 2;
    labels.mutable_data<int64_t>()[i / 2] = i / 2 % 3;
  }
  return {features, labels, "six rows", RowIds(features, labels)};
}

Dataset SomeData() {
  DatasetInfo info;
  info.name = "six";
  info.class_names = {"a", "b", "c"};
  info.sample_shape = Shape({2});
  Dataset dataset(info);
  const auto load = [] { return absl::StatusOr<SplitData>(SomeRows()); };
  dataset.Set(Split::kTrain, load);
  dataset.Set(Split::kValidation, load);
  return dataset;
}

// Restores the checkpoint in `folder`, as --resume does before it trains.
void GoOn(const RunConfig& settings, const std::string& folder) {
  static const Dataset dataset = SomeData();
  TorchGenerator generator(0);
  auto graph = BuildModel({.model = "Linear 3", .input = Shape({2}), .classes = 3}, &generator);
  CHECK(graph.ok()) << graph.status();
  TrainerOptions options;
  options.settings = settings;
  auto trainer = Trainer::Create(*std::move(graph), dataset, generator, options);
  if (!trainer.ok()) return;
  (void)(*trainer)->Restore(folder);
}

}  // namespace
}  // namespace mase

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const mase::RunFolder run;
  const std::string& folder = run.path();
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t end = all.find('\0');
  mase::ConfigBuilder builder(mase::ConfigRequest{nullptr, /*read_passes=*/false});
  const absl::Status read = builder.AddText(all.substr(0, end), "settings.textproto", "/");
  if (end != absl::string_view::npos) {
    const absl::string_view checkpoint = all.substr(end + 1);
    std::ofstream(folder + "/" + mase::kLastCheckpoint, std::ios::binary) << checkpoint;
  }
  if (read.ok()) mase::GoOn(builder.Build().config, folder);
  if (end != absl::string_view::npos) mase::GoOn(mase::RunConfig(), folder);
  return 0;
}
