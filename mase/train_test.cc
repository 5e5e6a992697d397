// Training and testing, run as their users run them.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/interop/npy.h"
#include "mase/interop/safetensors.h"
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
using ::testing::Not;

CommandResult Train(const std::string& folder, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {}) {
  return RunCommand("mase/train_main", arguments, folder, environment);
}

CommandResult RunTest(const std::string& folder, const std::vector<std::string>& arguments) {
  return RunCommand("mase/test", arguments, folder);
}

// A small run of jsc-tiny; `more` is appended.
std::vector<std::string> SmallRun(const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"jsc-tiny",
                                        "jsc-sim",
                                        "--set",
                                        "dataset.rows=2000",
                                        "--max-epochs",
                                        "3",
                                        "--batch-size=64",
                                        "--learning-rate=0.01",
                                        "--log-every-n-steps=5"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string Contents(const std::string& path) {
  return ValueOrDie(ReadFile(path, int64_t{1} << 30));
}

TEST(TrainTest, TrainsValidatesTestsAndWritesItAllDown) {
  const std::string folder = NewFolder();
  const CommandResult run = Train(folder, SmallRun({"--run_dir=run"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("1,600 simulated rows, train split"));
  EXPECT_THAT(run.out, HasSubstr("25 steps per epoch (batches of 64 rows), 75 steps in all"));
  EXPECT_THAT(run.out, HasSubstr("epoch 2: "));
  EXPECT_THAT(run.out, HasSubstr("400 simulated rows, test split"));
  EXPECT_THAT(run.err, HasSubstr("Training model 'jsc-tiny'..."));
  EXPECT_THAT(run.err, HasSubstr("##### WEIGHT DECAY ##### 0"));
  EXPECT_THAT(run.err, HasSubstr("Training is completed"));

  const json summary = json::parse(Contents(folder + "/run/summary.json"));
  EXPECT_EQ(summary["action"], "train");
  EXPECT_EQ(summary["status"], "ok");
  EXPECT_EQ(summary["data"]["real"], false);
  for (const std::string file : summary["artifacts"]) {
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(folder, "/run/", file))) << file;
    EXPECT_THAT(run.out, HasSubstr(file));
  }
  EXPECT_THAT(summary["artifacts"],
              ::testing::IsSupersetOf({"history.csv", "metrics.jsonl", "best.safetensors",
                                       "last.safetensors", "loss.svg", "settings.textproto"}));
  EXPECT_EQ(summary["metrics"].back()["stage"], "best");
  EXPECT_EQ(summary["metrics"].back()["samples"], 400);
  const std::vector<std::string> history =
      absl::StrSplit(Contents(folder + "/run/history.csv"), '\n', absl::SkipEmpty());
  ASSERT_EQ(history.size(), 4u);
  EXPECT_EQ(history[0], "epoch,lr,train_loss,val_loss,val_acc,val_correct,val_total,seconds");

  // Testing the best checkpoint says the same, and writes what the net said.
  const CommandResult test =
      RunTest(folder, {"jsc-tiny", "jsc-sim", "--set=dataset.rows=2000", "--batch-size=64",
                       "--load=run/best.safetensors", "--predictions=out.npy"});
  ASSERT_EQ(test.exit_code, 0) << test.err;
  EXPECT_EQ(TestFigures(test.out).size(), 2u) << test.out;
  EXPECT_EQ(TestFigures(test.out), TestFigures(run.out));
  EXPECT_EQ(ValueOrDie(ReadNpy(folder + "/out.npy")).shape(), Shape({400, 5}));
}

TEST(TrainTest, TheSettingsOfARunMakeTheSameRun) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=a"})).exit_code, 0);
  ASSERT_EQ(Train(folder, {"--config=a/settings.textproto", "--run_dir=b"}, {"OMP_NUM_THREADS=3"})
                .exit_code,
            0);
  for (const char* file : {"best.safetensors", "last.safetensors"}) {
    EXPECT_TRUE(Contents(folder + "/a/" + file) == Contents(folder + "/b/" + file)) << file;
  }
}

// As in a PyTorch loop, which builds the net whatever it then loads.
TEST(TrainTest, BatchesHaveTheSameOrderWhetherAFileHoldsAGraphOrNot) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=run", "--max-epochs=1"})).exit_code, 0);
  SafeTensors file = ValueOrDie(ReadSafeTensors(folder + "/run/best.safetensors"));
  file.metadata.clear();
  ASSERT_OK(WriteSafeTensors(folder + "/state.safetensors", file));
  ASSERT_EQ(Train(folder, SmallRun({"--load=state.safetensors", "--run_dir=a"})).exit_code, 0);
  ASSERT_EQ(Train(folder, SmallRun({"--load=run/best.safetensors", "--run_dir=b"})).exit_code, 0);
  EXPECT_TRUE(Contents(folder + "/a/last.safetensors") == Contents(folder + "/b/last.safetensors"));
}

TEST(TrainTest, AResumedRunThatIsDoneSaysTheSameAgain) {
  const std::string folder = NewFolder();
  const CommandResult run = Train(folder, SmallRun({"--run_dir=run"}));
  const CommandResult again = Train(folder, {"--resume=run"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("resumed after 75 steps: the run is finished (max_epochs=3)"));
  EXPECT_EQ(TestFigures(again.out), TestFigures(run.out));
}

// To begin anew would write over the best net.
TEST(TrainTest, ARunThatLostItsLastCheckpointIsLeftAsItIs) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=run"})).exit_code, 0);
  const std::string best = Contents(folder + "/run/best.safetensors");
  std::filesystem::remove(folder + "/run/last.safetensors");
  const CommandResult run = Train(folder, {"--resume=run"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("last.safetensors: is not there, and the training goes on from"));
  EXPECT_TRUE(Contents(folder + "/run/best.safetensors") == best);
}

TEST(TrainTest, ResumingWhatIsNoRunIsRefused) {
  const CommandResult run = Train(NewFolder(), {"--resume=nowhere"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("nowhere: no run directory"));
}

// What a run's folder holds is as hostile as any file.
TEST(TrainTest, ResumingWritesOnlyIntoTheFolderOfATraining) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=run"})).exit_code, 0);
  const std::string summary = ValueOrDie(ReadFile(folder + "/run/summary.json", 1 << 20));
  const auto resume = [&](absl::string_view from, absl::string_view to) {
    EXPECT_THAT(summary, HasSubstr(std::string(from)));
    EXPECT_OK(WriteFileAtomically(folder + "/run/summary.json",
                                  absl::StrReplaceAll(summary, {{from, to}})));
    return Train(folder, {"--resume=run"});
  };
  const CommandResult other = resume("\"action\": \"train\"", "\"action\": \"transform\"");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("holds a run of the action 'transform'"));
  for (const char* name : {"../stray.txt", "/tmp/stray.txt", "a/../../stray.txt", ""}) {
    const CommandResult stray = resume("\"settings.textproto\"", absl::StrCat("\"", name, "\""));
    EXPECT_EQ(stray.exit_code, 2) << name;
    EXPECT_THAT(stray.err, HasSubstr("is no name of a file in this folder")) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder + "/stray.txt"));
}

TEST(TrainTest, ARateBelowTheFloorIsWarnedOf) {
  const CommandResult run = Train(NewFolder(), SmallRun({"--run_dir=run", "--learning-rate=1e-7"}));
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr("WARNING  learning rate 1e-07 is below the schedule's floor"));
}

TEST(TrainTest, WhatCannotBeTrainedWritesNothing) {
  const std::string folder = NewFolder();
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"--batch-size=1599"}, "seq_blocks_0: batch norm cannot train on a batch of one row"},
      {{"--model=jsc-tine"}, "did you mean 'jsc-tiny'"},
      {{"--training-optimizer=adm"}, "adm"},
      {{"--lr=1"}, "unknown flag --lr; did you mean '--learning-rate'?"},
      {{"--model=jsc-sim", "--dataset=jsc-tiny"}, "MODEL comes first, then DATASET"},
      {{"--model=wine", "--load=x.safetensors"}, "the file has a model, so say --dataset=wine"},
  };
  for (const auto& [flags, message] : cases) {
    const CommandResult run = Train(folder, SmallRun(flags));
    EXPECT_EQ(run.exit_code, 2) << message;
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(folder + "/mase_output"));
  }
}

TEST(TrainTest, TheBundledJetsAreForTestsAndTheErrorSaysWhereOthersAre) {
  const CommandResult run = Train(NewFolder(), {"jsc-tiny", "jsc"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("has no train split"));
  EXPECT_THAT(run.err, HasSubstr("dataset.path=FILE, see docs/data.md"));
  EXPECT_THAT(run.err, HasSubstr("jsc-sim has simulated ones to train on"));
}

TEST(TrainTest, DebugTrainsOnOneBatch) {
  const std::string folder = NewFolder();
  const CommandResult run = Train(folder, SmallRun({"--run_dir=run", "--debug"}));
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("1 steps per epoch (batches of 64 rows"));
}

// A file as PyTorch's users have it: tensors of a state dict, no graph, no counter.
TEST(TestActionTest, LoadsAStateDictByNamesAndSaysHowTheyWentTogether) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Train(folder, SmallRun({"--run_dir=run"})).exit_code, 0);
  SafeTensors file = ValueOrDie(ReadSafeTensors(folder + "/run/best.safetensors"));
  SafeTensors state_dict;
  for (const NamedTensor& tensor : file.tensors) {
    if (!absl::EndsWith(tensor.name, "num_batches_tracked")) state_dict.tensors.push_back(tensor);
  }
  state_dict.tensors.push_back({"val_acc.total", Tensor::Zeros(DType::kInt64, {})});
  ASSERT_OK(WriteSafeTensors(folder + "/state.safetensors", state_dict));
  const std::vector<std::string> test = {"jsc-tiny", "jsc-sim", "--set=dataset.rows=2000",
                                         "--load=state.safetensors"};
  const CommandResult run = RunTest(folder, test);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("6 tensors matched, 1 missing, 1 extra"),
                    HasSubstr("seq_blocks.0.num_batches_tracked"), HasSubstr("val_acc.total")));

  state_dict.tensors.erase(state_dict.tensors.begin());
  ASSERT_OK(WriteSafeTensors(folder + "/state.safetensors", state_dict));
  const CommandResult lacking = RunTest(folder, test);
  EXPECT_EQ(lacking.exit_code, 2);
  EXPECT_THAT(lacking.err, HasSubstr("lacks 1 of the 6 tensors of model 'jsc-tiny':\nWanted"));
}

TEST(TestActionTest, WantsACheckpoint) {
  const CommandResult run = RunTest(NewFolder(), {"jsc-tiny", "jsc-sim"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("expected checkpoint via --load, got None"));
  const std::string folder = NewFolder();
  ASSERT_OK(WriteFileAtomically(folder + "/best.safetensors", ""));
  EXPECT_THAT(RunTest(folder, {"best.safetensors"}).err,
              HasSubstr("got None; say --load=best.safetensors"));
}

}  // namespace
}  // namespace mase
