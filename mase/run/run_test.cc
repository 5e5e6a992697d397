// Runs as values: many in one process, sharing data, silent but for the reporter.
#include "mase/run/run.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/config/config.h"
#include "mase/run/recording_reporter.h"
#include "mase/run/test_run.h"
#include "mase/run/train_run.h"
#include "mase/run/transform_run.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

class RunTest : public ::testing::Test {
 protected:
  // Settings of a file's text and of --set.
  RunConfig Settings(const std::string& toml, const std::vector<std::string>& sets) {
    ConfigBuilder builder(request_);
    EXPECT_OK(builder.AddText(toml, "test.toml", folder_));
    for (const std::string& set : sets) EXPECT_OK(builder.AddSet(set));
    return builder.Build().config;
  }

  RunConfig Training(const std::string& directory, int seed = 0) {
    return Settings("model = 'jsc-tiny'\ndataset = 'jsc-sim'\nmax_epochs = 1\n",
                    {"dataset.rows=2000", absl::StrCat("seed=", seed),
                     absl::StrCat("run_dir=", folder_, "/", directory)});
  }

  const std::string folder_ = std::filesystem::path(NewFolder()).lexically_normal().string();
  const std::unique_ptr<PluginLoader> loader_ = ValueOrDie(PluginLoader::Create());
  const ConfigRequest request_ = {
      [this](absl::string_view pass) -> absl::StatusOr<const google::protobuf::Descriptor*> {
        const auto info = loader_->LookUp(pass);
        if (!info.ok()) return info.status();
        return (*info)->options->GetDescriptor();
      }};
  RecordingReporter reporter_;
  DatasetCache data_;
  const RunEnvironment environment_ = {
      .reporter = reporter_, .passes = loader_.get(), .data = &data_};
};

TEST_F(RunTest, ATrainingATestAndATransformInOneProcessPrintNothing) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const RunResult trained = TrainRun(Training("trained"), BeginReport("train"), environment_);
  const std::string load = absl::StrCat("load_name = '", folder_, "/trained'\n");
  const RunResult tested = TestRun(Settings(load, {absl::StrCat("run_dir=", folder_, "/tested")}),
                                   "", BeginReport("test"), environment_);
  const RunResult transformed = TransformRun(
      Settings(load +
                   "[passes.quantize]\nby = 'type'\n[passes.quantize.linear.config]\n"
                   "name = 'integer'\ndata_in_width = 8\ndata_in_frac_width = 4\nweight_width = 8\n"
                   "weight_frac_width = 4\nbias_width = 8\nbias_frac_width = 4\n",
               {absl::StrCat("run_dir=", folder_, "/transformed")}),
      BeginReport("transform"), environment_);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");

  for (const RunResult* run : {&trained, &tested, &transformed}) {
    EXPECT_OK(run->status);
    EXPECT_EQ(run->report.status(), "ok");
    EXPECT_TRUE(std::filesystem::exists(run->directory + "/summary.json"));
  }
  EXPECT_EQ(transformed.directory, folder_ + "/transformed");
  EXPECT_THAT(reporter_.messages, Contains("Training is completed"));
  EXPECT_THAT(reporter_.printed, HasSubstr("Files written to " + folder_ + "/tested"));
  // What training said of its best epoch is what the test finds.
  EXPECT_EQ(trained.report.metrics(trained.report.metrics_size() - 1).value(),
            tested.report.metrics(tested.report.metrics_size() - 1).value());
  ASSERT_THAT(reporter_.wholes, Contains("quantize/nodes.csv"));
  EXPECT_EQ(reporter_.tables[0].rows().size(), 4u);
}

TEST_F(RunTest, RunsThatShareDataAndRunAtOnceWriteWhatTheyWriteAlone) {
  std::vector<RunResult> results(4);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i, &results] {
      Reporter silent;
      const RunEnvironment environment = {.reporter = silent, .data = &data_};
      results[i] =
          TrainRun(Training(absl::StrCat("many", i), i), BeginReport("train"), environment);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 4; ++i) {
    EXPECT_OK(results[i].status);
    Reporter silent;
    const RunResult alone =
        TrainRun(Training(absl::StrCat("alone", i), i), BeginReport("train"), {.reporter = silent});
    EXPECT_OK(alone.status);
    EXPECT_EQ(Contents(results[i].directory + "/best.safetensors"),
              Contents(alone.directory + "/best.safetensors"));
  }
}

TEST_F(RunTest, WhatFailsBeforeItBeginsIsAResult) {
  const RunResult run = TrainRun(Settings("model = 'jsc-tinny'\ndataset = 'jsc-sim'\n", {}),
                                 BeginReport("train"), environment_);
  EXPECT_THAT(run.status, StatusIs(absl::StatusCode::kNotFound, HasSubstr("jsc-tiny")));
  EXPECT_EQ(run.report.status(), "failed");
  EXPECT_EQ(run.report.error(), run.status.message());
  EXPECT_THAT(run.directory, IsEmpty());
}

// Interrupts the run when its line of progress begins so.
class InterruptingReporter : public RecordingReporter {
 public:
  explicit InterruptingReporter(std::string at) : at_(std::move(at)) {}
  Terminal progress() override {
    return {.seconds = [this] { return seconds_ += 10; },  // So that every line is drawn.
            .write = [](absl::string_view) {},
            .tell =
                [this](const ProgressFigures& line) {
                  if (line.label == at_ && line.done > 0) interrupted = true;
                }};
  }

  std::atomic<bool> interrupted = false;

 private:
  const std::string at_;
  double seconds_ = 0;
};

TEST_F(RunTest, AnInterruptedTestSaysWhatWasInterruptedAndIsNoSuccess) {
  const struct {
    const char *at, *flag, *says;
  } kCases[] = {
      {"testing", "log_level='info'",
       "interrupted while the net was tested, after 64 of 1,000 rows"},
      {"timing 1 row", "evaluation.benchmark=true", "interrupted while --benchmark timed the net"},
      {"timing 64 rows", "evaluation.benchmark=true",
       "interrupted while --benchmark timed the net"},
      {"timing kernels", "evaluation.report_execution=true",
       "interrupted while its kernels were timed"},
  };
  const std::string load = absl::StrCat(
      "load_name = '", Runfile("testdata/checkpoints"),
      "/jsc-tiny.safetensors'\nmodel = 'jsc-tiny'\ndataset = 'jsc'\nbatch_size = 64\n");
  for (const auto& [at, flag, says] : kCases) {
    SCOPED_TRACE(at);
    InterruptingReporter reporter(at);
    const RunEnvironment environment = {
        .reporter = reporter,
        .watch_interrupt = [&]() -> const std::atomic<bool>& { return reporter.interrupted; }};
    const std::string directory = absl::StrCat(folder_, "/", at);
    const RunResult run = TestRun(Settings(load, {flag, absl::StrCat("run_dir='", directory, "'")}),
                                  "", BeginReport("test"), environment);
    EXPECT_THAT(run.status, StatusIs(absl::StatusCode::kCancelled,
                                     AllOf(HasSubstr(says), HasSubstr("a test begins anew"))));
    EXPECT_EQ(run.report.status(), "interrupted");
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      files.push_back(entry.path().filename());
    }
    EXPECT_THAT(files, UnorderedElementsAre("settings.textproto", "summary.json"));
  }
}

TEST_F(RunTest, AnInterruptedTrainingGoesOnToTheSameBytes) {
  const std::atomic<bool> interrupted = true;
  RunEnvironment environment = {.reporter = reporter_};
  environment.watch_interrupt = [&]() -> const std::atomic<bool>& { return interrupted; };
  const RunConfig config = Training("stopped");
  const RunResult stopped = TrainRun(config, BeginReport("train"), environment);
  EXPECT_THAT(stopped.status, StatusIs(absl::StatusCode::kCancelled, HasSubstr("--resume=")));
  LoadedConfig given = {config};
  given.config.set_resume(stopped.directory);
  const RunResult resumed =
      ResumeTraining(given, request_, BeginReport("train"), {.reporter = reporter_});
  EXPECT_OK(resumed.status);
  const RunResult whole = TrainRun(Training("whole"), BeginReport("train"), environment_);
  EXPECT_EQ(Contents(stopped.directory + "/best.safetensors"),
            Contents(whole.directory + "/best.safetensors"));
}

}  // namespace
}  // namespace mase
