// `ch sweep`: whole sweeps as a user runs them, also interrupted ones.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
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

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

// A sweep of trainings over few jets.
CommandResult Sweep(const std::string& folder, std::vector<std::string> more) {
  std::vector<std::string> words = {"sweep",         "train",   "jsc-tiny", "jsc-sim",
                                    "--max-epochs",  "2",       "--set",    "dataset.rows=2000",
                                    "--run_dir=out", "--jobs=2"};
  words.insert(words.end(), more.begin(), more.end());
  return RunCommand("mase/ch", words, folder);
}

TEST(SweepTest, AGridOfTrainingsIsOneTableAndAPicture) {
  const std::string folder = NewFolder();
  const CommandResult run =
      Sweep(folder, {"--sweep", "batch_size=64,256", "--sweep", "learning_rate=1e-2,1e-3"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Sweep of train: 4 runs\nbatch_size  learning_"));
  EXPECT_THAT(run.err, HasSubstr("[4/4] batch_size="));
  const json sweep = json::parse(Contents(folder + "/out/sweep.json"));
  ASSERT_EQ(sweep["points"].size(), 4u);
  const json& first = sweep["points"][0];
  EXPECT_EQ(first["settings"], json({{"batch_size", 64}, {"learning_rate", 0.01}}));
  EXPECT_GT(first["metrics"]["accuracy"].get<double>(), 0.3);
  const std::string csv = Contents(folder + "/out/sweep.csv");
  EXPECT_THAT(csv, StartsWith("batch_size,learning_rate,accuracy,loss,"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  EXPECT_THAT(Contents(folder + "/out/sweep.md"), StartsWith("| batch_size | learning_rate |"));
  EXPECT_THAT(Contents(folder + "/out/sweep.svg"), HasSubstr("<svg"));

  // Each point is a run as any other: the same as without a sweep, and one can go on from it.
  const std::string point = folder + "/out/" + first["run"].get<std::string>();
  const CommandResult alone = RunCommand(
      "mase/ch", {"train", "--config=" + point + "/settings.textproto", "--run_dir=alone"}, folder);
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_EQ(Contents(folder + "/alone/best.safetensors"), Contents(point + "/best.safetensors"));
}

TEST(SweepTest, FinishedRunsAreKept) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Sweep(folder, {"--sweep", "seed=1,2"}).exit_code, 0);
  const auto when = fs::last_write_time(folder + "/out/seed=1/summary.json");
  const std::string before = Contents(folder + "/out/sweep.csv");
  fs::remove(folder + "/out/seed=2/summary.json");
  const CommandResult again = Sweep(folder, {"--sweep", "seed=1,2"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("1 of 2 runs are done already"));
  EXPECT_EQ(fs::last_write_time(folder + "/out/seed=1/summary.json"), when);
  EXPECT_TRUE(fs::exists(folder + "/out/seed=2/summary.json"));
  // More values go on, too; other settings of the same point do not.
  EXPECT_EQ(Sweep(folder, {"--sweep", "seed=1,2,3"}).exit_code, 0);
  EXPECT_EQ(fs::last_write_time(folder + "/out/seed=1/summary.json"), when);
  const CommandResult other = Sweep(folder, {"--sweep", "seed=1,2,3", "--batch-size=32"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("was run with other settings"));
  // The tables are those of all runs.
  const CommandResult fewer = Sweep(folder, {"--sweep", "seed=2,4"});
  EXPECT_EQ(fewer.exit_code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("out: its tables would lose the runs seed=1, seed=3"));
  EXPECT_THAT(Contents(folder + "/out/sweep.csv"), HasSubstr("seed=3"));
  // What a damaged summary says of its run is not guessed.
  const std::string summary = folder + "/out/seed=2/summary.json";
  ASSERT_OK(WriteFileAtomically(summary, Contents(summary).substr(0, 300)));
  const CommandResult damaged = Sweep(folder, {"--sweep", "seed=1,2,3"});
  EXPECT_EQ(damaged.exit_code, 4);
  EXPECT_THAT(damaged.err, AllOf(HasSubstr("/seed=2/summary.json:"), HasSubstr("cut or damaged")));
  fs::remove(summary);
  EXPECT_EQ(Sweep(folder, {"--sweep", "seed=1,2,3"}).exit_code, 0);
}

TEST(SweepTest, KilledSweepsGoOnAndEndAsThoseThatWereNot) {
  const std::string folder = NewFolder();
  const std::vector<std::string> words = {
      "sweep",        "train",        "jsc-tiny",     "jsc-sim",
      "--max-epochs", "40",           "--set",        "dataset.rows=20000",
      "--sweep",      "seed=1,2,3,4", "--run_dir=out"};
  const std::string program = Runfile("mase/ch");
  for (int kill_after_ms : {300, 500, 700}) {
    const pid_t child = fork();
    if (child == 0) {
      if (chdir(folder.c_str()) != 0) _exit(1);
      unsetenv("BUILD_WORKING_DIRECTORY");
      std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
      for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
      arguments.push_back(nullptr);
      if (freopen("/dev/null", "w", stdout) == nullptr) _exit(1);
      if (freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
      execv(program.c_str(), arguments.data());
      _exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(kill_after_ms));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
  }
  ASSERT_EQ(RunCommand("mase/ch", words, folder).exit_code, 0);
  std::vector<std::string> whole = words;
  whole.back() = "--run_dir=whole";
  ASSERT_EQ(RunCommand("mase/ch", whole, folder).exit_code, 0);
  for (int seed = 1; seed <= 4; ++seed) {
    const std::string file = absl::StrCat("/seed=", seed, "/best.safetensors");
    EXPECT_EQ(Contents(absl::StrCat(folder, "/out", file)),
              Contents(absl::StrCat(folder, "/whole", file)))
        << seed;
  }
}

TEST(SweepTest, FailedRunsAreRowsAndTheSweepFails) {
  const std::string folder = NewFolder();
  const CommandResult run = Sweep(folder, {"--sweep", "learning_rate=1e-3,1e30"});
  EXPECT_EQ(run.exit_code, 1) << run.out;
  EXPECT_THAT(run.err, HasSubstr("1 of 2 runs failed"));
  const json points = json::parse(Contents(folder + "/out/sweep.json"))["points"];
  EXPECT_EQ(points[0]["status"], "ok");
  EXPECT_EQ(points[1]["status"], "failed");
  EXPECT_THAT(points[1]["error"].get<std::string>(), HasSubstr("learning rate 1e+30"));
  EXPECT_THAT(run.out, HasSubstr("error"));
}

TEST(SweepTest, PassOptionsLayerListsAndPairsAreSwept) {
  const std::string folder = NewFolder();
  const CommandResult widths = RunCommand(
      "mase/ch",
      {"sweep", "transform", "--config=" + Runfile("testdata/configs/jsc_tiny_integer.toml"),
       "--sweep", "passes.quantize.linear.config.weight_width=2,8", "--run_dir=widths", "--json"},
      folder);
  ASSERT_EQ(widths.exit_code, 0) << widths.err;
  const json points = json::parse(widths.out)["points"];
  EXPECT_LT(points[0]["metrics"]["accuracy"], points[1]["metrics"]["accuracy"]);
  EXPECT_TRUE(points[0]["metrics"].contains("original_accuracy"));

  ASSERT_OK(
      WriteFileAtomically(folder + "/nets.txt", "BN, ReLU, Linear 5\nLinear 8, ReLU, Linear 5\n"));
  const CommandResult nets = RunCommand(
      "mase/ch",
      {"sweep", "train", "--dataset=jsc-sim", "--max-epochs=1", "--set", "dataset.rows=2000",
       "--zip", "--sweep", "model=@nets.txt", "--sweep", "seed=1,2", "--run_dir=nets"},
      folder);
  ASSERT_EQ(nets.exit_code, 0) << nets.err;
  EXPECT_EQ(json::parse(Contents(folder + "/nets/sweep.json"))["points"].size(), 2u);

  ASSERT_OK(WriteFileAtomically(folder + "/runs.csv", "seed,batch_size\n1,64\n2,128\n3,256\n"));
  const CommandResult list = Sweep(folder, {"--points=runs.csv"});
  ASSERT_EQ(list.exit_code, 0) << list.err;
  EXPECT_EQ(json::parse(Contents(folder + "/out/sweep.json"))["points"].size(), 3u);
}

TEST(SweepTest, WhatCannotRunIsSaidBeforeAnythingRuns) {
  const std::string folder = NewFolder();
  const auto expect = [&](std::vector<std::string> words, const std::string& text) {
    words.insert(words.begin(), "sweep");
    const CommandResult run = RunCommand("mase/ch", words, folder);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_THAT(run.err, HasSubstr(text));
  };
  expect({}, "want one of train, transform, test");
  expect({"trian"}, "did you mean 'train'?");
  expect({"train", "jsc-tiny", "jsc-sim"}, "nothing is swept");
  expect({"train", "jsc-tiny", "jsc-sim", "--sweep", "batch_siz=1,2"},
         "did you mean 'batch_size'?");
  expect({"train", "jsc-tiny", "jsc-sim", "--sweep", "batch_size=1,x"},
         "batch_size=x: --sweep: batch_size: want an integer");
  expect({"train", "jsc-tiny", "jsc-sim", "--sweep", "seed=1,2", "--points=a.csv"}, "not both");
  expect({"train", "jsc-tiny", "jsc-sim", "--sweep", "learning_rate=1e-2,0.1,0.01"},
         "run 1, learning_rate=1e-2, and run 3, learning_rate=0.01, have the same settings");
  // What was refused stands in the way of nothing and claims no files.
  const std::string width = "passes.quantize.linear.config.weight_width=";
  const auto widths = [&](const std::string& values) {
    return RunCommand("mase/ch",
                      {"sweep", "transform",
                       absl::StrCat("--config=", Runfile("testdata/configs/jsc_tiny_integer.toml")),
                       "--sweep", width + values, "--run_dir=widths"},
                      folder);
  };
  const CommandResult refused = widths("8,99");
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.out, Not(HasSubstr("Files written")));
  EXPECT_EQ(widths("8,6").exit_code, 0);
  fs::create_directory(folder + "/full");
  ASSERT_OK(WriteFileAtomically(folder + "/full/file", "x"));
  expect({"train", "jsc-tiny", "jsc-sim", "--sweep", "seed=1,2", "--run_dir=full"},
         "exists and is no sweep");
  EXPECT_EQ(Contents(folder + "/full/file"), "x");
  const CommandResult dry = RunCommand("mase/ch",
                                       {"sweep", "train", "jsc-tiny", "jsc-sim", "--sweep",
                                        "seed=1,2", "--dry_run", "--run_dir=dry"},
                                       folder);
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, AllOf(HasSubstr("waiting"), HasSubstr("seed=2")));
  EXPECT_FALSE(fs::exists(folder + "/dry"));
}

// For build servers: a part of the runs, and goals of what is swept as one file.
TEST(SweepTest, PartsWriteTheirGoalsAsJunit) {
  const std::string folder = NewFolder();
  const auto part = [&](const std::string& shard) {
    return RunCommand(
        "mase/ch",
        {"sweep", "transform", "--load=" + Runfile("testdata/checkpoints/jsc-tiny.safetensors"),
         "--dataset=jsc", "--goal=accuracy_drop <= 5 points",
         "--sweep=passes.quantize.linear.config=integer 8/4;integer 2/1;mxint8", "--shard=" + shard,
         "--junit=goals.xml", "--run_dir=out" + shard.substr(0, 1)},
        folder);
  };
  EXPECT_EQ(part("1/2").exit_code, 0);
  const std::string first = Contents(folder + "/goals.xml");
  EXPECT_THAT(first,
              AllOf(HasSubstr("<testsuites tests=\"2\" failures=\"0\""),
                    HasSubstr("<testsuite name=\"passes.quantize.linear.config=integer-8-4-")));
  EXPECT_EQ(part("2/2").exit_code, 3);
  EXPECT_THAT(Contents(folder + "/goals.xml"),
              AllOf(HasSubstr("<testsuites tests=\"1\" failures=\"1\""),
                    HasSubstr("name=\"accuracy_drop &lt;= 5 points\""),
                    HasSubstr("<failure message=\"it is ")));
  for (const char* bad : {"0/2", "3/2", "4/4", "x", "1"}) {
    const CommandResult run = part(bad);
    EXPECT_EQ(run.exit_code, 2) << bad;
    EXPECT_THAT(run.err, HasSubstr("--shard=")) << bad;
  }
}

}  // namespace
}  // namespace mase
