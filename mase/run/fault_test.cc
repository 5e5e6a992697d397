// Disks fail: every call by which a run reads or writes a file fails in turn. A run then ends with
// an error, or did not need the call; what is begun again after it ends with the same bytes.
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/system_calls.h"
#include "mase/config/config.h"
#include "mase/run/run.h"
#include "mase/run/sweep.h"
#include "mase/run/train_run.h"
#include "mase/run/transform_run.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr char kInteger[] =
    "[passes.quantize]\nby = 'type'\n[passes.quantize.linear.config]\nname = 'integer'\n"
    "data_in_width = 8\ndata_in_frac_width = 4\nweight_width = 8\nweight_frac_width = 4\n"
    "bias_width = 8\nbias_frac_width = 4\n";

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

std::vector<std::string> TemporaryFilesBelow(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (absl::StrContains(entry.path().filename().string(), ".tmp-")) {
      found.push_back(entry.path().string());
    }
  }
  return found;
}

class FaultTest : public ::testing::Test {
 protected:
  // Begins a run in `directory`, or goes on with the one in it.
  using Begin = std::function<absl::Status(const std::string& directory)>;

  ~FaultTest() override { InjectFaults(nullptr); }

  RunConfig Settings(const std::string& toml, const std::vector<std::string>& sets) {
    ConfigBuilder builder(request_);
    EXPECT_OK(builder.AddText(toml, "test.toml", folder_));
    for (const std::string& set : sets) EXPECT_OK(builder.AddSet(set));
    return builder.Build().config;
  }

  // Lets every call of the run (or every `step`th) fail in turn, each with another of the faults,
  // and compares `file`. Writing to the cache of data is no part of it: rows are simulated.
  void FailEachCall(const Begin& run, const std::string& file, int step = 1) {
    int calls = 0;
    InjectFaults([&](SystemCall) { return ++calls, 0; });
    ASSERT_OK(run(folder_ + "/whole"));
    InjectFaults(nullptr);
    ASSERT_GT(calls, 20);
    const std::string whole = Contents(folder_ + "/whole/" + file);
    const int faults[] = {ENOSPC, EIO, EINTR, kShortWrite};
    int errors = 0;
    for (int failing = 0; failing < calls; failing += step) {
      const std::string directory = absl::StrCat(folder_, "/", failing);
      const int fault = faults[failing % std::size(faults)];
      InjectFaults([&, at = 0](SystemCall) mutable { return at++ == failing ? fault : 0; });
      const absl::Status status = run(directory);
      InjectFaults(nullptr);
      errors += status.ok() ? 0 : 1;
      if (fs::exists(directory)) {
        EXPECT_THAT(TemporaryFilesBelow(directory), ::testing::IsEmpty()) << failing;
      }
      if (!status.ok()) {
        ASSERT_OK(run(directory)) << failing << " " << status;
      }
      EXPECT_TRUE(Contents(absl::StrCat(directory, "/", file)) == whole)
          << failing << " " << status;
      fs::remove_all(directory);
    }
    EXPECT_GT(errors, calls / step / 4) << "most calls are needed";
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
  const Begin train = [this](const std::string& directory) {
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
  FailEachCall(train, "best.safetensors");
}

TEST_F(FaultTest, ATransformIsBegunAnew) {
  const Begin transform = [this](const std::string& directory) {
    fs::remove_all(directory);
    const RunConfig config =
        Settings(absl::StrCat("model = 'jsc-tiny'\ndataset = 'jsc-sim'\n", kInteger),
                 {"dataset.rows=300", absl::StrCat("run_dir=", directory)});
    return TransformRun(config, BeginReport("transform"), environment_).status;
  };
  FailEachCall(transform, "transformed.safetensors");
}

TEST_F(FaultTest, ASweepGoesOn) {
  const Begin sweep = [this](const std::string& directory) {
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
  FailEachCall(sweep, "seed=2/best.safetensors", /*step=*/5);  // Its runs are trainings, see above.
}

}  // namespace
}  // namespace mase
