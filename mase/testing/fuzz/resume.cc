// A training that goes on: with settings from a run's directory, and from a checkpoint with its
// state. An input is the settings (text proto), a zero byte, and the checkpoint.
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "glog/logging.h"
#include "mase/config/config.h"
#include "mase/data/dataset.h"
#include "mase/data/row_sketch.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"
#include "mase/testing/fuzz/memory_file.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

// A run's directory, for as long as the program runs, whose last checkpoint is the file in memory.
class RunFolder {
 public:
  explicit RunFolder(const MemoryFile& checkpoint)
      : path_((std::filesystem::temp_directory_path() / "mase_resume_XXXXXX").string()) {
    CHECK(mkdtemp(path_.data()) != nullptr) << path_;
    std::filesystem::create_symlink(checkpoint.path(), path_ + "/" + kLastCheckpoint);
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

Graph SomeNet(TorchGenerator& generator) {
  auto graph = BuildModel({.model = "Linear 3", .input = Shape({2}), .classes = 3}, &generator);
  CHECK(graph.ok()) << graph.status();
  return *std::move(graph);
}

// Restores the checkpoint in `folder`, as --resume does before it trains.
void GoOn(const RunConfig& settings, const std::string& folder) {
  static TorchGenerator generator(0);
  static const Dataset dataset = SomeData();
  static const Graph graph = SomeNet(generator);
  TrainerOptions options;
  options.settings = settings;
  auto trainer = Trainer::Create(graph.Clone(), dataset, generator, options);
  if (!trainer.ok()) return;
  (void)(*trainer)->Restore(folder);
}

}  // namespace
}  // namespace mase

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(all.find('\0'), size);
  const size_t rest = std::min(end + 1, size);
  const mase::MemoryFile checkpoint(data + rest, size - rest);
  static const mase::RunFolder run(checkpoint);
  mase::ConfigBuilder builder(mase::ConfigRequest{nullptr, /*read_passes=*/false});
  const absl::Status read = builder.AddText(all.substr(0, end), "settings.textproto", "/");
  // Settings that are none must not keep the checkpoint from being read.
  mase::GoOn(read.ok() ? builder.Build().config : mase::RunConfig(), run.path());
  return 0;
}
