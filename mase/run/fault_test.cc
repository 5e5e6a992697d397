// Trainings, transforms and sweeps on disks that fail (mase/testing/fail_each_call.h). What they
// write to the cache of data is no part of it: rows are simulated. Searches: mase/search.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mase/config/config.h"
#include "mase/run/run.h"
#include "mase/run/sweep.h"
#include "mase/run/train_run.h"
#include "mase/run/transform_run.h"
#include "mase/testing/command.h"
#include "mase/testing/fail_each_call.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr char kInteger[] =
    "[passes.quantize]\nby = 'type'\n[passes.quantize.linear.config]\nname = 'integer'\n"
    "data_in_width = 8\ndata_in_frac_width = 4\nweight_width = 8\nweight_frac_width = 4\n"
    "bias_width = 8\nbias_frac_width = 4\n";

class FaultTest : public ::testing::Test {
 protected:
  RunConfig Settings(const std::string& toml, const std::vector<std::string>& sets) {
    ConfigBuilder builder(request_);
    EXPECT_OK(builder.AddText(toml, "test.toml", folder_));
    for (const std::string& set : sets) EXPECT_OK(builder.AddSet(set));
    return builder.Build().config;
  }

  const std::string folder_ = fs::path(NewFolder()).lexically_normal().string();
  const std::unique_ptr<PluginLoader> loader_ = ValueOrDie(PluginLoader::Create());
  const ConfigRequest request_ = {
      [this](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
        const auto info = loader_->LookUp(pass);
        if (!info.ok()) return info.status();
        return (*info)->options->GetDescriptor();
      }};
  Reporter silent_;
  DatasetCache data_;
  const RunEnvironment environment_ = {
      .reporter = silent_, .passes = loader_.get(), .data = &data_};
};

TEST_F(FaultTest, ATrainingIsResumedToTheSameBytes) {
  const auto train = [this](const std::string& directory) {
    LoadedConfig given = {
        Settings("model = 'jsc-tiny'\ndataset = 'jsc-sim'\nmax_epochs = 1\nbatch_size = 256\n",
                 {"dataset.rows=300", absl::StrCat("run_dir=", directory)})};
    if (fs::exists(directory + "/settings.textproto")) {
      given.config.set_resume(directory);
      return ResumeTraining(given, request_, BeginReport("train"), environment_).status;
    }
    fs::remove_all(directory);  // It has no settings: nothing was begun.
    return TrainRun(given.config, BeginReport("train"), environment_).status;
  };
  FailEachCall({.run = train, .folder = folder_, .file = "best.safetensors"});
}

TEST_F(FaultTest, ATransformIsBegunAnew) {
  const auto transform = [this](const std::string& directory) {
    fs::remove_all(directory);
    const RunConfig config =
        Settings(absl::StrCat("model = 'jsc-tiny'\ndataset = 'jsc-sim'\n", kInteger),
                 {"dataset.rows=300", absl::StrCat("run_dir=", directory)});
    return TransformRun(config, BeginReport("transform"), environment_).status;
  };
  FailEachCall({.run = transform, .folder = folder_, .file = "transformed.safetensors"});
}

TEST_F(FaultTest, ASweepGoesOn) {
  const auto sweep = [this](const std::string& directory) {
    SweepRequest request = {.action = "train", .config_request = request_};
    request.points = {{"seed"}, {{"1"}, {"2"}}};
    for (const char* seed : {"1", "2"}) {
      LoadedConfig point = {Settings(
          "model = 'jsc-tiny'\ndataset = 'jsc-sim'\nmax_epochs = 1\nbatch_size = 256\n",
          {"dataset.rows=300", absl::StrCat("run_dir=", directory), absl::StrCat("seed=", seed)})};
      request.settings.push_back(std::move(point));
    }
    return RunSweep(request, environment_).status;
  };
  // Its runs are trainings, see above.
  FailEachCall({.run = sweep, .folder = folder_, .file = "seed=2/best.safetensors", .step = 5});
}

}  // namespace
}  // namespace mase
