// What is known to be wrong before any work is refused before it, and nothing is lost silently.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RefusalsTest : public ::testing::Test {
 protected:
  CommandResult Ch(const std::vector<std::string>& words) const {
    return RunCommand("mase/ch", words, folder_);
  }

  // Expects exit code 2, this message, and that nothing was written but what `kept` names.
  void ExpectRefused(const std::vector<std::string>& words, const std::string& message) const {
    const CommandResult run = Ch(words);
    EXPECT_EQ(run.exit_code, 2) << run.out << run.err;
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_FALSE(fs::exists(folder_ + "/mase_output")) << message;
  }

  const std::string checkpoint_ = Runfile("testdata/checkpoints/jsc-tiny.safetensors");
  const std::string config_ = Runfile("testdata/configs/jsc_tiny_integer.toml");
  const std::string search_ = Runfile("testdata/configs/jsc_tiny_search.toml");
  const std::string folder_ = NewFolder();
};

TEST_F(RefusalsTest, OutputsThatCannotBeWrittenAreKnownBeforeTheWork) {
  fs::create_directory(folder_ + "/folder");
  ASSERT_OK(WriteFileAtomically(folder_ + "/file", "x"));
  const std::string config = "--config=" + config_;
  ExpectRefused({"transform", config, "--goal=accuracy >= 0.1", "--junit=none/g.xml"}, "--junit: ");
  ExpectRefused({"transform", config, "--goal=accuracy >= 0.1", "--junit=folder"},
                "folder: cannot write: Is a directory");
  ExpectRefused({"transform", config, "--run_dir=file/run"}, "cannot create: Not a directory");
  ExpectRefused({"transform", config, "--run_dir=folder"}, "folder exists; a run never shares");
  ExpectRefused({"train", "jsc-tiny", "jsc-sim", "--run_dir=folder"}, "a run never shares");
  ExpectRefused({"test", "jsc-tiny", "jsc", "--load=" + checkpoint_, "--predictions=none/p.csv"},
                "--predictions: ");
  ExpectRefused({"report", "folder", "--html", "--output=none/r.html"}, "--output: ");
  ExpectRefused({"plot", "folder", "--output=folder"}, "--output: ");
  ExpectRefused({"formats", "quantize", "--format=integer 8/4", "--in=x.npy", "--out=none/y.npy"},
                "--out: ");
  ExpectRefused({"transform", config, "--dry_run", "--run_dir=folder"}, "a run never shares");
}

TEST_F(RefusalsTest, SettingsThatWouldBeCappedOrIgnored) {
  ExpectRefused({"test", "jsc-tiny", "jsc", "--load=" + checkpoint_, "--topk=9"},
                "--topk=9 is more than the 5 classes of data set 'jsc'");
  ExpectRefused({"train", "jsc-tiny", "jsc-sim", "--set=dataset.rows=0"}, "dataset.rows");
  ExpectRefused({"info", "jsc-tiny", "--html"}, "--html has no use here: info makes no run");
  ExpectRefused({"info", "jsc-tiny", "--set", "run_dir=x"}, "--run_dir has no use here");
  ExpectRefused({"diff", checkpoint_, config_, "--html"}, "--html has no use here: diff makes");
  const std::vector<std::string> search = {"search", "--config=" + search_};
  const auto with = [](std::vector<std::string> words, const std::string& more) {
    words.push_back(more);
    return words;
  };
  ExpectRefused(with(search, "--batch=4"), "--batch has no effect without --deterministic; add");
  ExpectRefused(with(search, "--seeds=4"), "--seeds has no effect without --compare; add that");
  ExpectRefused(with(search, "--compare="), "--compare: no value; give some, or leave it out");
  ExpectRefused(with(search, "--compare=tpe,TPE"), "--compare: tpe is named twice");
  ExpectRefused(with(search, "--jobs=0"), "n_jobs (--jobs) = 0: no trial would run");
  ExpectRefused(with(search, "--resume=run"), "--resume has no use here: search does not heed it");
  ExpectRefused({"test", "jsc-tiny", "jsc", "--load=" + checkpoint_, "--resume=run"},
                "--resume has no use here: test does not heed it, train does");
  ExpectRefused({"sweep", "train", "jsc-tiny", "jsc-sim", "--sweep", "max_memory=1"},
                "'max_memory' cannot be swept");
  const CommandResult classes = Ch({"info", "Linear classes", "--classes=1000000000"});
  EXPECT_EQ(classes.exit_code, 4);
  EXPECT_THAT(classes.err, HasSubstr("--classes=1000000000: more than the limit of 1048576"));
  ExpectRefused({"diff", checkpoint_, checkpoint_, "--batch-size=3"},
                "--batch-size is a setting, and neither of the two nets");
}

TEST_F(RefusalsTest, WhatIsMissingIsNamedOnce) {
  ExpectRefused({"train", "jsc-tiny"},
                "Missing is a data set, as in `jsc-tiny jsc-sim`; `ch datasets` lists them");
  const CommandResult diff = Ch({"diff", checkpoint_, "/nope"});
  EXPECT_EQ(diff.exit_code, 2);
  EXPECT_THAT(diff.err, AllOf(HasSubstr("/nope: cannot open"), Not(HasSubstr("/nope: /nope"))));
}

TEST_F(RefusalsTest, ASweepChecksNetsAndCheckpointsOfAllPointsBeforeTheFirstRuns) {
  const std::vector<std::string> train = {"sweep", "train", "jsc-sim", "--max-epochs=1",
                                          "--run_dir=sweep"};
  std::vector<std::string> models = train;
  models.insert(models.begin() + 2, "--sweep=model=jsc-tiny;jsc-tinny");
  for (const char* more : {"--jobs=1", "--dry_run"}) {
    std::vector<std::string> words = models;
    words.push_back(more);
    const CommandResult run = Ch(words);
    EXPECT_EQ(run.exit_code, 2) << run.out;
    EXPECT_THAT(run.err, AllOf(HasSubstr("model=jsc-tinny: "), HasSubstr("mean 'jsc-tiny'?")));
    EXPECT_FALSE(fs::exists(folder_ + "/sweep/sweep.csv"));
  }
  const CommandResult tests =
      Ch({"sweep", "test", "jsc-tiny", "jsc", "--sweep",
          absl::StrCat("load_name=", checkpoint_, ",gone.safetensors"), "--run_dir=tests"});
  EXPECT_EQ(tests.exit_code, 2);
  EXPECT_THAT(tests.err, HasSubstr("gone.safetensors: cannot open"));
}

TEST_F(RefusalsTest, FilesThatNobodyNamedAreNotOverwritten) {
  ASSERT_EQ(Ch({"train", "jsc-tiny", "jsc-sim", "--set=dataset.rows=500", "--max-epochs=1",
                "--run_dir=run"})
                .exit_code,
            0);
  ASSERT_OK(WriteFileAtomically(folder_ + "/val_loss.svg", "mine"));
  ASSERT_OK(WriteFileAtomically(folder_ + "/report.html", "mine"));
  ExpectRefused({"plot", "run"}, "val_loss.svg exists; --output=val_loss.svg overwrites it");
  ExpectRefused({"report", "run", "--html"}, "report.html exists; --output=report.html");
  EXPECT_EQ(ValueOrDie(ReadFile(folder_ + "/report.html", 1 << 20)), "mine");
  EXPECT_EQ(Ch({"plot", "run", "--output=val_loss.svg"}).exit_code, 0);
  EXPECT_THAT(ValueOrDie(ReadFile(folder_ + "/val_loss.svg", 1 << 20)), HasSubstr("<svg"));
}

TEST_F(RefusalsTest, ATrainingWithoutAnEpochIsNotTheBest) {
  const CommandResult run = Ch({"train", "jsc-tiny", "jsc-sim", "--set=dataset.rows=500",
                                "--max-epochs=0", "--run_dir=run", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report["best_epoch"], nullptr);
  EXPECT_EQ(report["metrics"][0]["stage"], "last");
}

TEST_F(RefusalsTest, ATrainingSaysWhatExecutionHoldsForAndProvesIt) {
  std::vector<std::string> words = {"train",
                                    "BN, ReLU, Linear 5",
                                    "jsc-sim",
                                    "--set=dataset.rows=500",
                                    "--max-epochs=1",
                                    "--execution=integer",
                                    "--require_int8",
                                    "--report_execution",
                                    "--set=passes.quantize.linear.config.name=integer",
                                    "--set=passes.quantize.linear.config.data_in_width=8",
                                    "--set=passes.quantize.linear.config.data_in_frac_width=4",
                                    "--set=passes.quantize.linear.config.weight_width=8",
                                    "--set=passes.quantize.linear.config.weight_frac_width=6",
                                    "--set=passes.quantize.linear.config.bias_width=8",
                                    "--set=passes.quantize.linear.config.bias_frac_width=6"};
  const CommandResult integer = Ch(words);
  EXPECT_EQ(integer.exit_code, 0) << integer.err;
  EXPECT_THAT(integer.err, HasSubstr("--execution=integer is how the best net is tested"));
  EXPECT_THAT(integer.out, HasSubstr("linear"));
  words[5] = "--execution=simulated";
  const CommandResult simulated = Ch(words);
  EXPECT_EQ(simulated.exit_code, 3) << simulated.out;
  EXPECT_THAT(simulated.err, HasSubstr("require_int8"));
}

// Codes are multiplied as they are: nothing of bfloat16 is in that.
TEST_F(RefusalsTest, BfloatIsOfFloatsAndSaysWhereItHoldsForNothing) {
  ExpectRefused({"test", "jsc-tiny", "jsc", "--load=" + checkpoint_, "--trainer-precision=bf16",
                 "--execution=integer"},
                "trainer_precision bf16 rounds what is multiplied in float, and execution integer "
                "multiplies codes as they are; leave one of the two out");
  const CommandResult transform =
      Ch({"transform", "--config=" + config_, "--trainer-precision=bf16", "--report_execution",
          "--execution=integer", "--run_dir=transform"});
  EXPECT_EQ(transform.exit_code, 0) << transform.err;
  const std::string warning = "trainer_precision bf16 is of training and tests";
  EXPECT_THAT(transform.err, HasSubstr(warning));
  EXPECT_THAT(ValueOrDie(ReadFile(folder_ + "/transform/summary.json", 1 << 24)),
              HasSubstr(warning));
  const CommandResult train =
      Ch({"train", "jsc-tiny", "jsc-sim", "--set=dataset.rows=500", "--max-epochs=1",
          "--trainer-precision=bf16", "--execution=integer", "--run_dir=train"});
  EXPECT_EQ(train.exit_code, 0) << train.err;
  EXPECT_THAT(train.err, HasSubstr("--execution=integer is how the best net is tested; what of it "
                                   "runs in float then is float32"));
}

}  // namespace
}  // namespace mase
