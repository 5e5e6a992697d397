// Settings files in the form of the course reports 000, 001, 003 and 004, which were written for
// MASE: they run as they are, but for the path of the checkpoint.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// What all of them have: linear layers in integers of 8 bits, 4 of them behind the point.
constexpr char kByType[] = R"(
[passes.quantize]
by = "type"
report = true
[passes.quantize.default.config]
name = "NA"
[passes.quantize.linear.config]
name = "integer"
"data_in_width" = 8
"data_in_frac_width" = 4
"weight_width" = 8
"weight_frac_width" = 4
"bias_width" = 8
"bias_frac_width" = 4
)";

struct ReportConfig {
  const char* report;
  const char* flat;        // The flat keys above the passes.
  const char* more;        // Rules behind those of linear layers.
  const char* checkpoint;  // A stand-in for the authors' own.
  int changed;             // Nodes that quantize changes, as the report has it.
};

const ReportConfig kConfigs[] = {
    {"000", R"(
model = "report-000"
dataset = "jsc"
task = "cls"
max_epochs = 10
batch_size = 512
learning_rate = 1e-2
accelerator = "cpu"
project = "jsc-report"
seed = 42
log_every_n_steps = 5
load_type = "pl"
)",
     "", "report-000", 3},
    {"001", R"(
model = "jsc-toy10x"
dataset = "jsc"
task = "cls"
max_epochs = 5
batch_size = 512
learning_rate = 1e-2
accelerator = "gpu"
project = "jsc-toy"
seed = 42
log_every_n_steps = 5
load_name = "../mase_output/jsc-toy_classification_jsc_2024-01-28/software/training_ckpts/best.ckpt"
load_type = "pl"
)",
     R"(
[passes.quantize.relu.config]
name = "integer"
data_in_width = 8
data_in_frac_width = 4
)",
     "jsc-toy10x", 9},
    {"003", R"(
model = "jsc-custom"
dataset = "jsc"
task = "cls"
max_epochs = 50
batch_size = 256
learning_rate = 1e-3
accelerator = "cpu"
project = "jsc-custom"
seed = 42
load_type = "pl"
)",
     "", "jsc-custom", 3},
};

std::string Text(const ReportConfig& config) {
  return absl::StrCat(config.flat, kByType, config.more);
}

TEST(ReportConfigsTest, TransformsRunWithTheCheckpointAsTheOnlyEdit) {
  for (const ReportConfig& config : kConfigs) {
    SCOPED_TRACE(config.report);
    const std::string folder = NewFolder();
    ASSERT_OK(WriteFileAtomically(folder + "/report.toml", Text(config)));
    const CommandResult run = RunCommand(
        "mase/ch",
        {"transform", "--config=report.toml", "--task", "cls", "--cpu=0",
         absl::StrCat("--load=", Runfile(absl::StrCat("testdata/checkpoints/", config.checkpoint,
                                                      ".safetensors"))),
         "--run_dir=run"},
        folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("| accuracy | "));
    const auto summary =
        nlohmann::json::parse(ValueOrDie(ReadFile(folder + "/run/summary.json", 1 << 24)));
    EXPECT_EQ(summary["seed"], 42);
    int changed = 0;
    for (const auto& pass : summary["passes"]) {
      if (pass["name"] != "quantize") continue;
      for (const auto& node : pass["result"]["nodes"]) changed += node["decision"] == "quantized";
    }
    EXPECT_EQ(changed, config.changed);
  }
}

TEST(ReportConfigsTest, AMissingCheckpointIsNamedBeforeAnythingRuns) {
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/report.toml", Text(kConfigs[1])));
  const CommandResult run = RunCommand("mase/ch", {"transform", "--config=report.toml"}, folder);
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("training_ckpts/best.ckpt: cannot open"),
                             HasSubstr("accelerator gpu is not supported")));
}

// Training keys and passes stand in one file. The real rows to train on are not at hand.
TEST(ReportConfigsTest, TheSameFileTrains) {
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/report.toml", Text(kConfigs[2])));
  const CommandResult run =
      RunCommand("mase/ch",
                 {"train", "jsc-custom", "jsc-sim", "--config=report.toml", "--max-epochs=1",
                  "--set=dataset.rows=1000", "--run_dir=run"},
                 folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("The net that is trained is the quantized one"));
}

// Report 004 shows its net, jsc-txl, in a picture alone: it is one of the author's own, which here
// is a list of layers.
TEST(ReportConfigsTest, ANetOfTheAuthorsOwnIsNamedInItsPlace) {
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/report.toml", absl::StrCat(R"(
model = "jsc-txl"
dataset = "jsc"
task = "cls"
max_epochs = 300
batch_size = 1024
learning_rate = 1e-2
accelerator = "cpu"
project = "jsc-txl"
seed = 42
log_every_n_steps = 5
)",
                                                                      kByType)));
  const CommandResult unknown =
      RunCommand("mase/ch", {"transform", "--config=report.toml"}, folder);
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("jsc-txl"));
  const CommandResult run = RunCommand(
      "mase/ch",
      {"transform", "BN, ReLU, Linear 32, ReLU, Linear 5", "--config=report.toml", "--run_dir=run"},
      folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, ContainsRegex("Linear +\\| linear +\\| +2 +\\| +2 +\\| +0"));
}

}  // namespace
}  // namespace mase
