// Quantization-aware training, run as its users run it: `train` with passes in its settings.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr char kInteger4[] = R"(
[passes.quantize.linear.config]
name = "integer"
data_in_width = 4
data_in_frac_width = 2
weight_width = 4
weight_frac_width = 2
bias_width = 4
bias_frac_width = 2
)";

CommandResult Train(const std::string& folder, const std::vector<std::string>& arguments) {
  return RunCommand("mase/train_main", arguments, folder);
}

std::string Contents(const std::string& path) {
  return ValueOrDie(ReadFile(path, int64_t{1} << 30));
}

void Write(const std::string& path, absl::string_view text) {
  ASSERT_OK(WriteFileAtomically(path, text));
}

std::string Trained(absl::string_view net) {
  return absl::StrCat("--load=", Runfile("testdata/checkpoints"), "/", net, ".safetensors");
}

// A small run of a config in `folder`; `more` is appended.
std::vector<std::string> SmallRun(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {
      "jsc-tiny",          "jsc-sim",        "--config=q.toml", "--set",
      "dataset.rows=2000", "--max-epochs=3", "--batch-size=64", "--learning-rate=0.003"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

json Summary(const std::string& run) { return json::parse(Contents(run + "/summary.json")); }

double Metric(const json& summary, absl::string_view stage, absl::string_view name) {
  for (const json& metric : summary["metrics"]) {
    if (metric["stage"] == std::string(stage) && metric["name"] == std::string(name)) {
      return metric["value"];
    }
  }
  ADD_FAILURE() << "no " << name << " of stage " << stage;
  return 0;
}

std::vector<std::string> PassesOf(const json& summary) {
  std::vector<std::string> names;
  for (const json& pass : summary["passes"]) names.push_back(pass["name"]);
  return names;
}

TEST(QatTest, CalibratedFormatsTrain) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  const CommandResult run = Train(
      folder,
      SmallRun({Trained("jsc-tiny"), "--run_dir=run", "--calibrate=mse", "--set",
                "passes.calibrate.scale=float", "--set", "passes.calibrate.granularity=channel"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Calibration on 1,024 of "));
  EXPECT_THAT(run.out, HasSubstr("train split"));
  const json summary = Summary(folder + "/run");
  EXPECT_GT(Metric(summary, "best", "accuracy"), Metric(summary, "transformed", "accuracy") - 0.02);
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(folder + "/run/best.safetensors"));
  const Quantization& record = *checkpoint.graph->FindNode("seq_blocks_2")->quantization();
  EXPECT_EQ(record.operand(1).format().affine().scale_size(), 5);
}

TEST(QatTest, TrainsTheNetThatThePassesMadeAndComparesAllThree) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  const CommandResult run = Train(folder, SmallRun({Trained("jsc-tiny"), "--run_dir=run"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("integer data_in 4/2, weight 4/2, bias 4/2"), HasSubstr("epoch 2: "),
                    HasSubstr("| Metric   | Original | Transformed |  Trained |")));
  const json summary = Summary(folder + "/run");
  EXPECT_EQ(summary["status"], "ok");
  EXPECT_THAT(PassesOf(summary), Contains("quantize"));
  const double original = Metric(summary, "original", "accuracy");
  const double transformed = Metric(summary, "transformed", "accuracy");
  const double trained = Metric(summary, "best", "accuracy");
  EXPECT_LT(transformed, original - 0.05);  // Four bits cost much,
  EXPECT_GT(trained, transformed + 0.05);   // and training brings most of it back.
  EXPECT_THAT(summary["artifacts"],
              IsSupersetOf({"quantize/quantize_table.csv", "best.safetensors", "summary.json"}));
  EXPECT_EQ(summary["artifacts"].back(), "summary.json");

  // Checkpoints hold the records; weights stay float.
  for (const char* file : {"best.safetensors", "last.safetensors"}) {
    const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(folder + "/run/" + file));
    const Node* linear = ValueOrDie(checkpoint.graph->LookUpNode("seq_blocks_2"));
    ASSERT_NE(linear->quantization(), nullptr) << file;
    EXPECT_EQ(linear->quantization()->operand_size(), 3) << file;
    const Tensor& weight = checkpoint.graph->FindTensor("seq_blocks.2.weight")->value;
    bool on_grid = true;
    for (const float w : weight.data<float>()) on_grid &= w * 4 == static_cast<int>(w * 4);
    EXPECT_FALSE(on_grid) << file;
  }

  // A test of the best one runs simulated; settings of the run, passes and all, serve it.
  const CommandResult test = RunCommand(
      "mase/test", {"--config=run/settings.textproto", "--load=run/best.safetensors"}, folder);
  ASSERT_EQ(test.exit_code, 0) << test.err;
  EXPECT_EQ(TestFigures(test.out), TestFigures(run.out));
  EXPECT_THAT(test.err, HasSubstr("'passes' has no effect: this action runs no passes"));
}

TEST(QatTest, AFreshNetHasNoAccuracyToCompareWith) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  const CommandResult run = Train(folder, SmallRun({"--run_dir=run"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, Not(HasSubstr("Original | Transformed")));
  EXPECT_THAT(PassesOf(Summary(folder + "/run")), Contains("quantize"));
}

TEST(QatTest, OneRunIsTheSameAsTransformThenTrain) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  ASSERT_EQ(Train(folder, SmallRun({Trained("jsc-tiny"), "--run_dir=one"})).exit_code, 0);
  ASSERT_EQ(RunCommand("mase/transform",
                       {"jsc-tiny", "jsc-sim", "--config=q.toml", "--set=dataset.rows=2000",
                        "--batch-size=64", Trained("jsc-tiny"), "--run_dir=two"},
                       folder)
                .exit_code,
            0);
  Write(folder + "/q.toml", "");
  ASSERT_EQ(
      Train(folder, SmallRun({"--load=two/transformed.safetensors", "--run_dir=three"})).exit_code,
      0);
  for (const char* file : {"best.safetensors", "last.safetensors"}) {
    EXPECT_TRUE(Contents(folder + "/one/" + file) == Contents(folder + "/three/" + file)) << file;
  }
}

TEST(QatTest, TheSettingsOfARunMakeTheSameRun) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=a"})).exit_code, 0);
  ASSERT_EQ(Train(folder, {"--config=a/settings.textproto", "--run_dir=b"}).exit_code, 0);
  for (const char* file : {"best.safetensors", "last.safetensors"}) {
    EXPECT_TRUE(Contents(folder + "/a/" + file) == Contents(folder + "/b/" + file)) << file;
  }
}

TEST(QatTest, AResumedRunKeepsTheReportOfThePasses) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  const CommandResult run = Train(folder, SmallRun({Trained("jsc-tiny"), "--run_dir=run"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json before = Summary(folder + "/run");
  const CommandResult again = Train(folder, {"--resume=run"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, AllOf(HasSubstr("resumed after 75 steps"), HasSubstr("Transformed")));
  EXPECT_EQ(TestFigures(again.out), TestFigures(run.out));
  const json after = Summary(folder + "/run");
  for (const char* key : {"passes", "metrics", "model", "versions", "status"}) {
    EXPECT_EQ(before[key], after[key]) << key;
  }
  EXPECT_THAT(after["artifacts"], Contains("quantize/quantize_table.csv"));
}

TEST(QatTest, ARunThatDiedBeforeItsFirstCheckpointBeginsAgain) {
  const std::string folder = NewFolder();
  Write(folder + "/q.toml", kInteger4);
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=run"})).exit_code, 0);
  const std::string whole = Contents(folder + "/run/last.safetensors");
  const std::string settings = Contents(folder + "/run/settings.textproto");
  std::filesystem::remove_all(folder + "/run");
  std::filesystem::create_directory(folder + "/run");
  Write(folder + "/run/settings.textproto", settings);
  const CommandResult run = Train(folder, {"--resume=run"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(Contents(folder + "/run/last.safetensors") == whole);
  EXPECT_THAT(PassesOf(Summary(folder + "/run")), Contains("quantize"));
}

TEST(QatTest, WhatPassesRefuseIsOneLineAndWritesNothing) {
  const std::string folder = NewFolder();
  const std::pair<std::string, std::string> cases[] = {
      {"[passes.quantice]\n", "did you mean 'quantize'"},
      {"[passes.quantize]\nby = \"typ\"\n", "did you mean 'type'"},
      {"[passes.quantize.linear.config]\nname = \"integer\"\ndata_in_width = 8\n", "weight_width"},
      {"[passes.quantize.conv2d.config]\nname = \"integer\"\ndata_in_width = 8\n"
       "weight_width = 8\nbias_width = 8\n",
       "rule 'conv2d' matches no node"},
      {"[passes.quantize.linear.config]\nname = \"NA\"\n", "0 nodes changed"},
  };
  for (const auto& [text, message] : cases) {
    Write(folder + "/q.toml", text);
    const CommandResult run = Train(folder, SmallRun({}));
    EXPECT_EQ(run.exit_code, 2) << message;
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(folder + "/mase_output")) << message;
  }
}

}  // namespace
}  // namespace mase
