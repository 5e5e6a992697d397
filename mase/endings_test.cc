// How runs end, and what they leave behind: on the terminal, in files, as exit codes.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/graph/finite.h"
#include "mase/interop/npy.h"
#include "mase/interop/safetensors.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kTrain[] = "mase/train_main";

std::string Contents(const std::string& path) {
  return ValueOrDie(ReadFile(path, int64_t{1} << 30));
}

json Summary(const std::string& run) { return json::parse(Contents(run + "/summary.json")); }

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

// 100 rows of two features that say the class, 95 of it 0 or, where `clear` is false, nothing.
std::string Table(bool clear) {
  std::string csv = "a,b,class\n";
  for (int i = 0; i < 100; ++i) {
    const bool ill = i % 20 == 7;
    const double a = clear && ill ? 1 : 0.01 * (i * 37 % 100 - 50);
    absl::StrAppend(&csv, a, ",", 0.01 * (i * 53 % 100 - 50), ",", ill ? "ill" : "well", "\n");
  }
  return csv;
}

// Flags that quantize the linear layers.
const std::vector<std::string> kInteger = {
    "--set=passes.quantize.linear.config.name=integer",
    "--set=passes.quantize.linear.config.data_in_width=8",
    "--set=passes.quantize.linear.config.weight_width=8",
    "--set=passes.quantize.linear.config.bias_width=8",
};

std::vector<std::string> WithInteger(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), kInteger.begin(), kInteger.end());
  return arguments;
}

class EndingsTest : public ::testing::Test {
 protected:
  EndingsTest() {
    EXPECT_OK(WriteFileAtomically(folder_ + "/clear.csv", Table(true)));
    EXPECT_OK(WriteFileAtomically(folder_ + "/noise.csv", Table(false)));
  }

  // `train` of a small net on `table` for all splits, with `more`.
  CommandResult Train(const std::vector<std::string>& more,
                      const std::string& table = "clear.csv") const {
    std::vector<std::string> arguments = {"Linear 2", "csv", "--max-epochs=3", "--batch-size=20"};
    for (const char* split : {"train", "validation", "test"}) {
      arguments.push_back(absl::StrCat("--set=dataset.", split, "=", table));
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand(kTrain, arguments, folder_, {"HOME=" + folder_});
  }

  CommandResult Resume(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"--resume=run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand(kTrain, arguments, folder_);
  }

  CommandResult Test(const std::vector<std::string>& more,
                     const std::string& checkpoint = "run/best.safetensors") const {
    std::vector<std::string> arguments = {"Linear 2", "csv", "--load=" + checkpoint,
                                          "--set=dataset.test=clear.csv",
                                          "--set=dataset.train=clear.csv"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand("mase/test", arguments, folder_);
  }

  const std::string folder_ = NewFolder();
};

// ---- Numbers that are none.

TEST_F(EndingsTest, ALossThatIsNoNumberFailsTheRunAndKeepsTheBestBefore) {
  const CommandResult run =
      Train({"--run_dir=run", "--training-optimizer=sgd", "--learning-rate=1e30"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("ERROR    epoch 0, step "), HasSubstr("learning rate 1e+30"),
                             HasSubstr("Kept: "), HasSubstr("Try --learning-rate=0.001")));
  EXPECT_THAT(run.out, Not(HasSubstr("best epoch")));
  const std::string summary = Contents(folder_ + "/run/summary.json");
  EXPECT_EQ(json::parse(summary)["status"], "failed");
  EXPECT_EQ(json::parse(summary)["best_epoch"], nullptr);
  EXPECT_THAT(summary, AllOf(Not(HasSubstr("NaN")), Not(HasSubstr("Infinity"))));
  EXPECT_FALSE(fs::exists(folder_ + "/run/best.safetensors"));
  const Checkpoint last = ValueOrDie(LoadCheckpoint(folder_ + "/run/last.safetensors"));
  EXPECT_EQ(FindNonFinite(*last.graph), "");
  for (const std::string& line : Lines(Contents(folder_ + "/run/metrics.jsonl"))) {
    EXPECT_TRUE(json::accept(line)) << line;
  }

  // What the message says to do works.
  const CommandResult again = Resume({"--learning-rate=1e-2"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("now learning_rate=0.01, before 1e+30"));
  EXPECT_EQ(Summary(folder_ + "/run")["status"], "ok");
}

TEST_F(EndingsTest, TheBestEpochBeforeAFailureIsKept) {
  ASSERT_EQ(Train({"--run_dir=run", "--training-optimizer=sgd"}).exit_code, 0);
  const std::string best = Contents(folder_ + "/run/best.safetensors");
  const CommandResult run = Resume({"--learning-rate=1e30", "--max-epochs=9"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("best.safetensors is the net of epoch 2"));
  EXPECT_TRUE(best == Contents(folder_ + "/run/best.safetensors"));
  const json summary = Summary(folder_ + "/run");
  EXPECT_EQ(summary["best_epoch"], 2);
  EXPECT_THAT(std::string(summary["error"]), HasSubstr("loss is "));
}

TEST_F(EndingsTest, ANetOfNoNumbersIsNeitherTrainedNorMeasuredWithSuccess) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  SafeTensors file = ValueOrDie(ReadSafeTensors(folder_ + "/run/best.safetensors"));
  for (NamedTensor& tensor : file.tensors) {
    if (tensor.name == "seq_blocks.0.bias") tensor.value.mutable_data<float>()[0] = NAN;
  }
  ASSERT_OK(WriteSafeTensors(folder_ + "/nan.safetensors", file));

  const CommandResult trained = Train({"--load=nan.safetensors"});
  EXPECT_EQ(trained.exit_code, 2);
  EXPECT_THAT(trained.err, HasSubstr("tensor 'seq_blocks.0.bias' holds nan in 1 of its 2"));

  const CommandResult tested = Test({"--run_dir=tested", "--predictions=p.csv"}, "nan.safetensors");
  EXPECT_EQ(tested.exit_code, 1);
  EXPECT_THAT(tested.err, HasSubstr("the tested net's loss is nan on the test split"));
  const json summary = Summary(folder_ + "/tested");
  EXPECT_EQ(summary["status"], "failed");
  for (const json& metric : summary["metrics"]) {
    EXPECT_EQ(metric["value"].is_null(), metric["name"] == "loss");
  }
  EXPECT_THAT(Lines(Contents(folder_ + "/p.csv"))[1], StartsWith("0,,,1,well,nan,"));

  const CommandResult transformed = RunCommand(
      "mase/transform",
      WithInteger({"Linear 2", "csv", "--load=nan.safetensors", "--set=dataset.test=clear.csv",
                   "--set=dataset.train=clear.csv", "--run_dir=transformed"}),
      folder_);
  EXPECT_EQ(transformed.exit_code, 1) << transformed.out;
  EXPECT_THAT(transformed.err, HasSubstr("the original net's loss is nan on the test split"));
  EXPECT_TRUE(fs::exists(folder_ + "/transformed/transformed.safetensors"));
}

// ---- Going on.

TEST_F(EndingsTest, AFinishedRunSaysSoAndTrainsOnWithMoreEpochs) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  const CommandResult same = Resume({});
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_THAT(same.out, AllOf(HasSubstr("the run is finished (max_epochs=3)"),
                              HasSubstr("/run --max_epochs=6\n")));

  const CommandResult more = Resume({"--max-epochs=5"});
  EXPECT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.out, AllOf(HasSubstr("now max_epochs=5, before 3"),
                              HasSubstr("resumed after 15 steps, in epoch 3 (of 5)"),
                              HasSubstr("epoch 4: "), Not(HasSubstr("epoch 5: "))));
  EXPECT_THAT(Lines(Contents(folder_ + "/run/history.csv")), SizeIs(6));
  EXPECT_EQ(Summary(folder_ + "/run")["settings"]["max_epochs"], 5);
  // The directory's settings are the new ones.
  EXPECT_THAT(Resume({}).out, HasSubstr("the run is finished (max_epochs=5)"));

  const CommandResult fewer = Resume({"--max-epochs=2"});
  EXPECT_EQ(fewer.exit_code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("max_epochs=2 is too few: 5 are begun or done already"));
  EXPECT_THAT(Resume({}).out, HasSubstr("the run is finished (max_epochs=5)"));
}

TEST_F(EndingsTest, SettingsThatAResumedRunWouldIgnoreAreErrors) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  ASSERT_OK(WriteFileAtomically(folder_ + "/more.toml",
                                "max_epochs = 5\nweight_decay = 0.5\n[passes.quantize.linear."
                                "config]\nname = \"integer\"\nweight_width = 8\n"));
  const CommandResult run = Resume(
      {"--config=more.toml", "--batch-size=7", "--seed=1", "Linear 3", "--run_dir=elsewhere"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("--batch-size: batch_size is now 7, was 20"),
                    HasSubstr("--seed: seed is now 1, was 0"), HasSubstr("more.toml:2"),
                    HasSubstr("weight_decay is now 0.5, was 0"), HasSubstr("model.name is now"),
                    HasSubstr("passes.quantize"), HasSubstr("run_dir"),
                    HasSubstr("These can: max_epochs, max_steps, learning_rate"),
                    Not(HasSubstr("max_epochs is now"))));
  EXPECT_FALSE(fs::exists(folder_ + "/elsewhere"));
  // The same once more is no change.
  EXPECT_EQ(Resume({"--batch-size=20", "Linear 2", "csv", "--learning-rate=1e-5"}).exit_code, 0);
}

// ---- What is told, and when.

TEST_F(EndingsTest, AKilledRunHasToldOfEveryEpochIntoAFile) {
  const CommandResult run = RunCommand(
      "/bin/sh",
      {"-c",
       ("\"$0\" \"$@\" > told.txt 2>&1 & pid=$!\n"
        "for i in $(seq 600); do grep -q '^epoch 4:' told.txt && break; sleep 0.05; done\n"
        "kill -9 $pid; wait $pid"),
       Runfile(kTrain), "Linear 2", "csv", "--set=dataset.train=clear.csv",
       "--set=dataset.validation=clear.csv", "--max-epochs=1000000", "--run_dir=run"},
      folder_);
  ASSERT_EQ(run.exit_code, 137) << run.err;
  int told = 0;
  for (const std::string& line : Lines(Contents(folder_ + "/told.txt"))) {
    told += absl::StartsWith(line, "epoch ");
  }
  const int written = static_cast<int>(Lines(Contents(folder_ + "/run/history.csv")).size()) - 1;
  EXPECT_GE(told, 5);
  EXPECT_LE(std::abs(written - told), 1) << "an epoch is written, then told";
}

TEST_F(EndingsTest, EpochsCountFromZeroEverywhere) {
  const CommandResult run = Train({"--run_dir=run", "--learning-rate=0.1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::vector<std::string> told, history;
  for (const std::string& line : Lines(run.out)) {
    if (absl::StartsWith(line, "epoch ")) told.push_back(line.substr(0, line.find(':')));
  }
  EXPECT_THAT(told, ElementsAre("epoch 0", "epoch 1", "epoch 2"));
  for (const std::string& line : Lines(Contents(folder_ + "/run/history.csv"))) {
    history.push_back(line.substr(0, line.find(',')));
  }
  EXPECT_THAT(history, ElementsAre("epoch", "0", "1", "2"));
  const json summary = Summary(folder_ + "/run");
  EXPECT_EQ(summary["metrics"][0]["stage"], "epoch 0");
  EXPECT_THAT(run.out, HasSubstr(absl::StrCat("best epoch: ", summary["best_epoch"].dump(), "\n")));
  EXPECT_EQ(json::parse(Lines(Contents(folder_ + "/run/metrics.jsonl")).back())["epoch"], 2);
  const std::string plot = Contents(folder_ + "/run/loss.svg");
  EXPECT_THAT(plot, AllOf(HasSubstr(">Linear 2, run run: loss<"), HasSubstr(">epoch<"),
                          HasSubstr(">0<"), HasSubstr(">2<"), Not(HasSubstr(">3<"))));
}

TEST_F(EndingsTest, LinesFitATerminal) {
  const CommandResult run = Train({"--run_dir=run", "--learning-rate=1e6"});
  bool settings = true;  // The table of settings is as wide as its values.
  for (const std::string& line : Lines(run.out)) {
    settings &= absl::StartsWith(line, "+") || absl::StartsWith(line, "|");
    if (!settings && !absl::StrContains(line, fs::path(folder_).filename().string())) {
      EXPECT_LE(line.size(), 80u) << line;
    }
  }
}

TEST_F(EndingsTest, AScheduleThatEndsBeforeTheRunIsWarnedOf) {
  EXPECT_THAT(Train({"--t_max=2"}).err,
              HasSubstr("WARNING  the schedule's t_max=2 is shorter than the 3 epochs"));
}

TEST_F(EndingsTest, AGpuIsWarnedOfByEveryAction) {
  const std::string warning = "WARNING  accelerator gpu is not supported";
  EXPECT_THAT(Train({"--accelerator=gpu", "--run_dir=run"}).err, HasSubstr(warning));
  EXPECT_THAT(Test({"--accelerator=gpu"}).err, HasSubstr(warning));
  EXPECT_THAT(RunCommand("mase/transform", {"--accelerator=gpu"}, folder_).err, HasSubstr(warning));
}

TEST_F(EndingsTest, TrainSaysBeforeItBeginsThatTheNetIsQuantized) {
  const CommandResult run = Train(WithInteger({"--run_dir=run", "--max-epochs=1"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("The net that is trained is the quantized one: 1 of its"));
  EXPECT_THAT(Train({"--run_dir=float", "--max-epochs=1"}).err, Not(HasSubstr("quantized")));
}

TEST_F(EndingsTest, AFullDiskBehindStdoutIsNoSuccess) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  const std::vector<std::string> commands[] = {
      {kTrain, "--help"},
      {kTrain, "--resume=run"},
      {"mase/test", "--version"},
      {"mase/test", "Linear 2", "csv", "--load=run/best.safetensors",
       "--set=dataset.test=clear.csv", "--set=dataset.train=clear.csv"},
      {"mase/transform", "--list_passes"},
      {"mase/formats", "--help"},
      {"mase/formats", "list"},
  };
  for (std::vector<std::string> command : commands) {
    const std::string said = absl::StrJoin(command, " ");
    command[0] = Runfile(command[0]);
    command.insert(command.begin(), {"-c", "exec \"$0\" \"$@\" > /dev/full"});
    const CommandResult run = RunCommand("/bin/sh", command, folder_);
    EXPECT_EQ(run.exit_code, 1) << said;
    EXPECT_THAT(run.err, HasSubstr("stdout: cannot write: ")) << said;
  }
}

TEST_F(EndingsTest, ARunThatAFileIsMissingOfSaysInItsSummaryThatItFailed) {
  const CommandResult run = Train({"--run_dir=run", "--junit=/dev/full"});
  EXPECT_EQ(run.exit_code, 1);
  const json summary = Summary(folder_ + "/run");
  EXPECT_EQ(summary["status"], "failed");
  EXPECT_EQ(summary["error"], "/dev/full: cannot write: No space left on device");
}

TEST_F(EndingsTest, AFileThatMayNotGrowIsAnErrorAndNoDeath) {
  const CommandResult run = RunCommand(
      "/bin/sh",
      {"-c", "ulimit -f 16; exec \"$0\" \"$@\"", Runfile(kTrain), "Linear 2000, Linear 2", "csv",
       "--max-epochs=1", "--set=dataset.train=clear.csv", "--set=dataset.validation=clear.csv",
       "--set=dataset.test=clear.csv", "--run_dir=run"},
      folder_);
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_THAT(run.err, HasSubstr("cannot write: File too large"));
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr(".tmp-")));
  }
}

// ---- The environment.

TEST_F(EndingsTest, ThreadsAreBounded) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  const CommandResult run =
      RunCommand("mase/test",
                 {"Linear 2", "csv", "--load=run/best.safetensors", "--set=dataset.test=clear.csv",
                  "--set=dataset.train=clear.csv"},
                 folder_, {"OMP_NUM_THREADS=100000"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err,
              HasSubstr("WARNING  OMP_NUM_THREADS asks for 100000 threads; 1024 are used"));
}

// ---- Files.

TEST_F(EndingsTest, TheSummaryHasAllThatMadeTheRunInOneOrder) {
  ASSERT_EQ(Train({"--run_dir=a"}).exit_code, 0);
  ASSERT_EQ(Train({"--run_dir=b"}).exit_code, 0);
  const std::string text = Contents(folder_ + "/a/summary.json");
  const json a = json::parse(text);
  EXPECT_THAT(std::string(a["started"]),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9:]{5})"));
  EXPECT_EQ(a["command_line"][1], "Linear 2");
  EXPECT_EQ(a["settings"]["batch_size"], 20);
  EXPECT_EQ(a["settings"]["learning_rate"], 1e-5) << "defaults, too";
  EXPECT_EQ(a["data"]["class_names"], json({"ill", "well"}));
  EXPECT_EQ(a["classes"][0]["name"], "ill");
  EXPECT_EQ(a["classes"][0]["rows"], 5);
  for (const char* earlier : {"\"action\"", "\"status\"", "\"metrics\""}) {
    EXPECT_LT(text.find(earlier), text.find("\"classes\"")) << earlier;
  }

  // What differs between equal runs stands in fields of its own.
  const auto lasting = [](json summary) {
    for (const char* key : {"started", "command_line", "seconds"}) summary.erase(key);
    for (json& file : summary["artifacts"]) {
      if (absl::StartsWith(std::string(file), "events.")) file = "events";
    }
    return summary.dump();
  };
  EXPECT_EQ(lasting(a), lasting(Summary(folder_ + "/b")));
}

TEST_F(EndingsTest, PredictionsAreATableOrAnArray) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  ASSERT_EQ(Test({"--predictions=out.csv"}).exit_code, 0);
  const std::vector<std::string> lines = Lines(Contents(folder_ + "/out.csv"));
  ASSERT_THAT(lines, SizeIs(101));
  EXPECT_EQ(lines[0], "row,predicted,predicted_name,true,true_name,score_ill,score_well");
  EXPECT_THAT(lines[8], MatchesRegex("7,(0,ill|1,well),0,ill,[-0-9.e]+,[-0-9.e]+"));

  const CommandResult bad = Test({"--predictions=out.parquet", "--run_dir=bad"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, AllOf(HasSubstr("out.parquet"), HasSubstr(".csv"), HasSubstr(".npy")));
  EXPECT_FALSE(fs::exists(folder_ + "/bad")) << "known before anything is run";
}

TEST_F(EndingsTest, ARunDoesNotWriteOverWhatItReads) {
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  const std::string table = Contents(folder_ + "/clear.csv");
  fs::create_symlink("run/best.safetensors", folder_ + "/net.npy");
  const std::string net = Contents(folder_ + "/net.npy");
  const auto refuses = [&](const std::string& flag, const std::string& input) {
    const CommandResult run = Test({flag});
    EXPECT_EQ(run.exit_code, 2) << flag;
    EXPECT_THAT(run.err, AllOf(HasSubstr(flag.substr(0, flag.find('='))),
                               HasSubstr(absl::StrCat("/", input, ", which is read"))));
  };
  refuses("--predictions=clear.csv", "clear.csv");
  refuses("--junit=clear.csv", "clear.csv");
  refuses("--predictions=net.npy", "run/best.safetensors");
  EXPECT_EQ(Contents(folder_ + "/clear.csv"), table);
  EXPECT_EQ(Contents(folder_ + "/net.npy"), net);
}

// Every file that a command names and writes, beside every one that it names and reads.
TEST_F(EndingsTest, NoCommandWritesOverItsSettingsOrWhatItNames) {
  const std::string settings = "model = \"Linear 2\"\ndataset = \"csv\"\n";
  ASSERT_OK(WriteFileAtomically(folder_ + "/run.toml", settings));
  ASSERT_OK(WriteFileAtomically(folder_ + "/points.csv", "seed\n1\n2\n"));
  ASSERT_OK(WriteFileAtomically(folder_ + "/nets.txt", "Linear 2\nLinear 3, Linear 2\n"));
  ASSERT_OK(WriteFileAtomically(folder_ + "/study.db", ""));
  ASSERT_OK(
      WriteFileAtomically(folder_ + "/search.toml",
                          absl::StrCat(settings, "[search.strategy.storage]\nurl = \"sqlite:///",
                                       folder_, "/study.db\"\n")));
  ASSERT_OK(WriteNpy(folder_ + "/x.npy", Tensor::FromValues<float>({2}, {1, 2})));
  ASSERT_EQ(Train({"--run_dir=run"}).exit_code, 0);
  const struct {
    std::vector<std::string> words;
    const char* read;
  } kRows[] = {
      {{"train", "--config=run.toml", "--junit=run.toml"}, "run.toml"},
      {{"explain", "--config=run.toml", "--junit=run.toml"}, "run.toml"},
      {{"search", "--config=run.toml", "--junit=run.toml"}, "run.toml"},
      {{"sweep", "train", "--config=run.toml", "--sweep=seed=1,2", "--junit=run.toml"}, "run.toml"},
      {{"sweep", "train", "--config=run.toml", "--points=points.csv", "--junit=points.csv"},
       "points.csv"},
      {{"sweep", "train", "csv", "--config=run.toml", "--sweep=model=@nets.txt",
        "--junit=nets.txt"},
       "nets.txt"},
      {{"search", "--config=run.toml", absl::StrCat("--storage=sqlite:///", folder_, "/study.db"),
        "--junit=study.db"},
       "study.db"},
      {{"search", "--config=search.toml", "--junit=study.db"}, "study.db"},
      {{"sweep", "train", "--config=run.toml", "--sweep=dataset.train=away.csv,clear.csv",
        "--junit=clear.csv"},
       "clear.csv"},
      {{"export", "onnx", "--load=run", "--out=run/best.safetensors", "--overwrite"},
       "run/best.safetensors"},
      {{"formats", "quantize", "--format=integer", "--in=x.npy", "--out=./x.npy"}, "x.npy"},
      {{"formats", "error", "integer", "--in=x.npy", "--plot=x.npy"}, "x.npy"},
      {{"report", "run", "--output=run/summary.json"}, "run/summary.json"},
      {{"plot", "run", "--output=run/history.csv"}, "run/history.csv"},
  };
  for (const auto& row : kRows) {
    const std::string before = Contents(absl::StrCat(folder_, "/", row.read));
    const CommandResult run = RunCommand("mase/ch", row.words, folder_);
    EXPECT_EQ(run.exit_code, 2) << absl::StrJoin(row.words, " ");
    EXPECT_THAT(run.err, HasSubstr(absl::StrCat("/", row.read, ", which is read; name another")))
        << absl::StrJoin(row.words, " ");
    EXPECT_EQ(Contents(absl::StrCat(folder_, "/", row.read)), before);
  }
}

TEST_F(EndingsTest, ATildeIsTheHomeFolderOnTheCommandLineAndInFiles) {
  EXPECT_EQ(Train({"--run_dir=~/flag"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder_ + "/flag/summary.json"));
  ASSERT_OK(WriteFileAtomically(folder_ + "/home.toml", "run_dir = \"~/file\"\n"));
  EXPECT_EQ(Train({"--config=~/home.toml"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder_ + "/file/summary.json"));
  const CommandResult other = Train({"--run_dir=~ada/run"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("write ./~ada/run"));
}

// ---- Accuracies that mislead.

TEST_F(EndingsTest, AccuracyStandsBesideTheShareOfTheLargestClass) {
  const CommandResult blind = Train({"--run_dir=blind", "--learning-rate=0.1"}, "noise.csv");
  ASSERT_EQ(blind.exit_code, 0) << blind.err;
  EXPECT_THAT(blind.out, HasSubstr("\n  ill 5, well 95; largest 0.950\n"));
  EXPECT_THAT(blind.out, HasSubstr("largest class 'well': 0.950 of the rows; "
                                   "the accuracy misleads, see the classes\n"));
  EXPECT_EQ(Summary(folder_ + "/blind")["classes"][0]["predicted"], 0);

  const CommandResult seeing =
      Train({"--run_dir=seeing", "--learning-rate=0.5", "--max-epochs=60"}, "clear.csv");
  ASSERT_EQ(seeing.exit_code, 0) << seeing.err;
  EXPECT_THAT(seeing.out, HasSubstr("100 of 100 correct"));
  EXPECT_THAT(seeing.out, HasSubstr("largest class 'well': 0.950 of the rows\n"));
  EXPECT_THAT(seeing.out, Not(HasSubstr("misleads")));
}

}  // namespace
}  // namespace mase
