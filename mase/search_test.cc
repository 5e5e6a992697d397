// `ch search`: whole searches as a user runs them.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/search/database.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

namespace fs = std::filesystem;

using ::nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }
json Read(const std::string& path) { return json::parse(Contents(path)); }

// MASE's file of lab 3.
std::string LabFile() { return Runfile("testdata/configs/jsc_tiny_search.toml"); }

CommandResult Search(const std::string& folder, const std::string& config,
                     std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"search", "--config=" + config, "--run_dir=out",
                                    "--set=dataset.rows=4000"};
  words.insert(words.end(), more.begin(), more.end());
  return RunCommand("mase/ch", words, folder);
}

// `ch` with these words in `folder`, sent the signal so long after `file` is there. How it ended:
// as CommandResult::exit_code.
int RunAndSignal(const std::vector<std::string>& words, const std::string& folder,
                 const std::string& file, absl::Duration after, int signal) {
  const std::string program = Runfile("mase/ch");
  std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (chdir(folder.c_str()) != 0) _exit(99);
    unsetenv("BUILD_WORKING_DIRECTORY");
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(null, 2);
    execv(program.c_str(), arguments.data());
    _exit(99);
  }
  for (int i = 0; i < 1500 && !fs::exists(fs::path(folder) / file); ++i) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  absl::SleepFor(after);
  kill(child, signal);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Trials of a log.json by their state.
std::map<std::string, int> States(const json& log) {
  std::map<std::string, int> states;
  for (const auto& [number, trial] : log.items()) ++states[trial["state"].get<std::string>()];
  return states;
}

// A file of its own with these tables behind a net and data.
std::string WriteConfig(const std::string& folder, const std::string& tables) {
  const std::string path = folder + "/search.toml";
  std::ofstream(path) << "model = \"jsc-tiny\"\nload_name = \""
                      << Runfile("testdata/checkpoints/jsc-tiny.safetensors")
                      << "\"\ndataset = \"jsc-sim\"\nbatch_size = 256\n"
                      << tables;
  return path;
}

// Of jsc_widths_search.toml the nets whose layers are at most so many times as wide.
std::string NotWider(int times) {
  return absl::StrCat(
      "--set=search.search_space.constraints=['seq_blocks_2/config/channel_multiplier <= ", times,
      "', 'seq_blocks_4/config/channel_multiplier <= ", times, "']");
}

struct BadCase {
  std::string tables;
  int exit_code;
  std::string message;
};

constexpr char kMetrics[] =
    "[search.strategy.metrics]\naccuracy.scale = 1.0\npacked_bytes.scale = 1.0\n";

TEST(SearchTest, MasesFileOfLab3RunsAndAGridFindsTheWholeFront) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, LabFile(), {"--sampler=grid"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("The search space has 18 points: 9 choices for 3 nodes."));
  EXPECT_THAT(run.out, HasSubstr("Best trials (Pareto front)"));
  EXPECT_THAT(run.out, HasSubstr("whole test split"));
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 18u);
  const json& first = log["0"];
  EXPECT_EQ(first["state"], "COMPLETE");
  EXPECT_TRUE(first["values_0"].is_number());
  EXPECT_EQ(first["user_attrs_sampled_config"]["seq_blocks_2"]["config"]["weight_width"], 2);
  EXPECT_TRUE(first["user_attrs_sampled_config"]["seq_blocks_1"]["config"]["name"].is_null());
  EXPECT_EQ(first["user_attrs_hardware_metrics"]["average_bitwidth"], 2);
  EXPECT_EQ(first["user_attrs_hardware_metrics"]["memory_density"], 16);
  // The last name turns fastest.
  EXPECT_EQ(log["1"]["user_attrs_sampled_config"]["seq_blocks_2"]["config"]["bias_width"], 4);
  const json best = Read(folder + "/out/best.json");
  EXPECT_EQ(best.size(), 3u);  // One for each width of the weight.
  EXPECT_THAT(Contents(folder + "/out/front.md"), StartsWith("| trial |"));
  EXPECT_THAT(Contents(folder + "/out/trials.csv"), StartsWith("trial,state,accuracy,"));
}

TEST(SearchTest, TwentyTrialsOfEighteenPointsAreEighteen) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, LabFile(), {"--sampler=random"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(Read(folder + "/out/log.json").size(), 18u);
}

TEST(SearchTest, BatchesGiveTheSameStudyForAnyNumberOfJobs) {
  std::vector<std::string> logs;
  for (const char* jobs : {"1", "3"}) {
    const std::string folder = NewFolder();
    const CommandResult run =
        Search(folder, LabFile(),
               {"--sampler=tpe", "--trials=14", "--deterministic", absl::StrCat("--jobs=", jobs)});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    logs.push_back(Contents(folder + "/out/log.json") + Contents(folder + "/out/trials.csv"));
  }
  EXPECT_EQ(logs[0], logs[1]);
}

TEST(SearchTest, AnyPassOptionAndConstraintsCanBeSearched) {
  const std::string folder = NewFolder();
  const std::string config = WriteConfig(
      folder, absl::StrCat("[passes.quantize]\nby = \"type\"\n[passes.quantize.linear]\n"
                           "config = \"integer 8/4\"\n"
                           "[search.search_space]\n"
                           "constraints = [\"passes.quantize.linear.config != \\\"x\\\"\"]\n"
                           "[search.search_space.settings]\n"
                           "\"passes.quantize.linear.config\" = [\"integer 8/4\", \"integer 4/2\", "
                           "\"minifloat_ieee 8/4\"]\n"
                           "[search.strategy.setup]\nsampler = \"grid\"\n",
                           kMetrics));
  const CommandResult run = Search(folder, config, {"--apply_best"});
  ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 3u);
  EXPECT_LT(log["1"]["user_attrs_hardware_metrics"]["packed_bytes"],
            log["0"]["user_attrs_hardware_metrics"]["packed_bytes"]);
}

// All nodes that an expression names share one choice; its dots and brackets are in quotes.
TEST(SearchTest, FormatsOfAGroupOfNodesAreOneChoice) {
  const std::string folder = NewFolder();
  const std::string config = WriteConfig(
      folder, absl::StrCat("[passes.quantize]\nby = \"regex_name\"\n"
                           "[passes.quantize.\"seq_blocks_[02]\"]\nconfig = \"integer 8/4\"\n"
                           "[search.search_space.settings]\n"
                           "'passes.quantize.\"seq_blocks_[02]\".config' = [\"integer 8/4\", "
                           "\"integer 4/2\"]\n"
                           "[search.strategy.metrics]\nloss.direction = \"minimize\"\n"
                           "bitops.direction = \"minimize\"\n"));
  const CommandResult run = Search(folder, config, {"--sampler=grid"});
  ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 2u);
  EXPECT_LT(log["1"]["user_attrs_hardware_metrics"]["bitops"],
            log["0"]["user_attrs_hardware_metrics"]["bitops"]);
}

TEST(SearchTest, TheWinnerIsARunThatTestLoads) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Search(folder, LabFile(), {"--sampler=grid", "--trials=3"}).exit_code, 0);
  const CommandResult run = Search(folder, LabFile(), {"--sampler=grid", "--apply=5"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("the study has no trial 5"));
  fs::remove_all(folder + "/out");
  const CommandResult applied = Search(folder, LabFile(), {"--sampler=grid", "--apply_best"});
  ASSERT_EQ(applied.exit_code, 0) << applied.err;
  std::string trial;
  for (const auto& entry : fs::directory_iterator(folder + "/out")) {
    if (entry.is_directory()) trial = entry.path().string();
  }
  ASSERT_FALSE(trial.empty());
  const CommandResult tested =
      RunCommand("mase/ch", {"test", "--load=" + trial, "--set=dataset.rows=4000"}, folder);
  EXPECT_EQ(tested.exit_code, 0) << tested.err;
  const CommandResult again = RunCommand(
      "mase/ch", {"transform", "--config=" + trial + "/settings.textproto", "--run_dir=again"},
      folder);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(Contents(folder + "/again/transformed.safetensors"),
            Contents(trial + "/transformed.safetensors"));
}

TEST(SearchTest, GoalsThatNoTrialMeetsEndWith3AndNameTheNearest) {
  const std::string folder = NewFolder();
  const CommandResult run =
      Search(folder, LabFile(), {"--sampler=grid", "--goal", "accuracy >= 0.99"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.out, HasSubstr("nearest to the goals, which none meets on the sample"));
  EXPECT_TRUE(fs::exists(folder + "/out/best.json"));
}

TEST(SearchTest, ASearchGoesOnInItsDirectoryAndRefusesAnother) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Search(folder, LabFile(), {"--sampler=random", "--trials=5"}).exit_code, 0);
  const json before = Read(folder + "/out/log.json");
  ASSERT_EQ(before.size(), 5u);
  const CommandResult more = Search(folder, LabFile(), {"--sampler=random", "--trials=9"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  const json after = Read(folder + "/out/log.json");
  ASSERT_EQ(after.size(), 9u);
  for (const char* row : {"0", "4"}) {
    EXPECT_EQ(after[row]["user_attrs_sampled_config"], before[row]["user_attrs_sampled_config"]);
    EXPECT_EQ(after[row]["values_0"], before[row]["values_0"]);
  }
  // Nothing is searched any more, and a trial of it is applied.
  const CommandResult applied =
      Search(folder, LabFile(), {"--sampler=random", "--trials=9", "--apply=3"});
  ASSERT_EQ(applied.exit_code, 0) << applied.err;
  EXPECT_TRUE(fs::exists(folder + "/out/trial-3/transformed.safetensors"));
  const CommandResult other = Search(folder, LabFile(), {"--sampler=grid"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("was searched with other settings"));
}

TEST(SearchTest, WorkersShareTheStudyOfADatabase) {
  const std::string folder = NewFolder();
  const std::string storage = "--storage=sqlite:///" + folder + "/shared.db";
  const std::vector<std::string> words = {
      "search",  "--config=" + LabFile(), "--set=dataset.rows=4000", "--sampler=random", storage,
      "--worker"};
  for (const char* number : {"1", "2"}) {
    std::vector<std::string> worker = words;
    worker.push_back(absl::StrCat("--run_dir=worker", number));
    worker.push_back(absl::StrCat("--trials=", number, "0"));
    const CommandResult run = RunCommand("mase/ch", worker, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, Not(HasSubstr("whole test split")));
  }
  EXPECT_EQ(Read(folder + "/worker1/log.json").size(), 10u);
  EXPECT_EQ(Read(folder + "/worker2/log.json").size(), 18u);
}

// Fast trials, of which many are taken at a time.
// Somebody locks the study's database for good. All that was found is in the run directory, and the
// same command goes on later.
TEST(SearchTest, ADatabaseThatGoesAwayLosesNothingThatWasFound) {
  const std::string folder = NewFolder();
  const std::string url = absl::StrCat("sqlite:///", folder, "/shared.db");
  std::atomic<bool> over = false;
  std::thread somebody([&] {
    while (!over && !fs::exists(folder + "/shared.db")) absl::SleepFor(absl::Milliseconds(20));
    auto database = ValueOrDie(Database::Open(url, absl::Seconds(30), nullptr));
    int complete = 0;
    while (!over && complete < 2) {
      const auto count = [&](soci::session& sql) {
        sql << "SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'", soci::into(complete);
        return absl::OkStatus();
      };
      if (!database->Transact(count).ok()) complete = 0;  // There are no tables yet.
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_OK(database->Transact([&](soci::session&) {
      while (!over) absl::SleepFor(absl::Milliseconds(20));
      return absl::OkStatus();
    }));
  });
  const std::vector<std::string> words = {
      NotWider(3), "--storage=" + url,
      "--set=search.strategy.storage={timeout=1, grace_period=2, heartbeat_interval=0.5}",
      "--set=search.strategy.sw_runner.basic_train.max_epochs=5", "--jobs=1"};
  const std::string config = Runfile("testdata/configs/jsc_widths_search.toml");
  const CommandResult gone = Search(folder, config, words);
  over = true;
  somebody.join();
  EXPECT_EQ(gone.exit_code, 1) << gone.err;
  EXPECT_THAT(gone.err, HasSubstr("gave up after"));
  EXPECT_THAT(gone.err, HasSubstr("and the same command goes on when the database answers"));
  EXPECT_THAT(States(Read(folder + "/out/log.json")), Contains(Pair("COMPLETE", Gt(1))));
  const CommandResult again = Search(folder, config, words);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(States(Read(folder + "/out/log.json")), Contains(Pair("COMPLETE", 9)));
}

TEST(SearchTest, TrialsThatAnInterruptLeavesAreRunByTheNextCommand) {
  const std::string folder = NewFolder();
  const std::string widths = "[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n";
  const std::string config = WriteConfig(
      folder, absl::StrCat("[search.search_space]\n"
                           "name = \"graph/quantize/mixed_precision_ptq\"\n"
                           "[search.search_space.seed.seq_blocks_2.config]\n"
                           "name = [\"integer\"]\ndata_in_width = ",
                           widths, "data_in_frac_width = ", widths, "weight_width = ", widths,
                           "weight_frac_width = ", widths, "bias_width = ", widths,
                           "[search.strategy.setup]\nsampler = \"random\"\n", kMetrics));
  const std::vector<std::string> words = {"search", "--config=" + config, "--run_dir=out",
                                          "--set=dataset.rows=4000"};
  std::vector<std::string> many = words;
  many.push_back("--trials=150000");
  ASSERT_EQ(RunAndSignal(many, folder, "out/study.db", absl::Seconds(1), SIGINT), 130);
  const json before = Read(folder + "/out/log.json");
  EXPECT_GT(before.size(), 40u);
  EXPECT_LT(before.size(), 150000u);
  EXPECT_THAT(States(before), ElementsAre(Pair("COMPLETE", before.size())));

  const size_t target = before.size() + 40;
  const CommandResult run = Search(folder, config, {absl::StrCat("--trials=", target)});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json after = Read(folder + "/out/log.json");
  EXPECT_THAT(States(after), ElementsAre(Pair("COMPLETE", target)));
  EXPECT_TRUE(after.contains(absl::StrCat(target - 1)));  // No number is left out.
}

TEST(SearchTest, ASearchThatIsKilledAgainAndAgainEndsWithAllItsTrials) {
  for (const bool shared : {false, true}) {
    const std::string folder = NewFolder();
    std::vector<std::string> words = {
        "search",
        "--config=" + Runfile("testdata/configs/jsc_widths_search.toml"),
        "--run_dir=out",
        NotWider(3),
        "--set=search.strategy.sw_runner.basic_train.max_epochs=40",
        "--set=dataset.rows=40000",
        "--jobs=2"};
    const std::string file = shared ? "shared.db" : "out/study.db";
    if (shared) {
      words.push_back("--storage=sqlite:///" + folder + "/shared.db");
      words.push_back("--set=search.strategy.storage.heartbeat_interval=0.2");
      words.push_back("--set=search.strategy.storage.grace_period=2");
    }
    for (const int milliseconds : {300, 600}) {
      EXPECT_EQ(RunAndSignal(words, folder, file, absl::Milliseconds(milliseconds), SIGKILL),
                128 + SIGKILL);
    }
    const CommandResult run = RunCommand("mase/ch", words, folder);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const json log = Read(folder + "/out/log.json");
    EXPECT_EQ(States(log)["COMPLETE"], 9) << log.dump(1);
    std::set<std::string> points;
    for (const auto& [number, trial] : log.items()) {
      if (trial["state"] == "COMPLETE") {
        points.insert(trial["user_attrs_sampled_config"].dump());
      } else {
        EXPECT_EQ(trial["user_attrs_error"], "its worker died") << trial.dump(1);
      }
    }
    EXPECT_EQ(points.size(), 9u);
    for (const auto& entry : fs::directory_iterator(folder + "/out")) {
      EXPECT_FALSE(entry.is_directory()) << entry.path();
    }
  }
}

TEST(SearchTest, WhatIsNotHonouredIsSaidOrRefused) {
  const std::string folder = NewFolder();
  const CommandResult run =
      Search(folder, LabFile(),
             {"--trials=2", "--set=search.strategy.setup.save_every_n_trials=10",
              "--set=search.strategy.setup.pkl_ckpt=study.pkl",
              "--set=search.strategy.metrics.accuracy.lower_bound=0"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("settings without effect:\n  save_every_n_trials: "));
  EXPECT_THAT(run.err, HasSubstr("\n  pkl_ckpt: "));
  EXPECT_THAT(run.err, HasSubstr("\n  bounds of accuracy: "));
  const CommandResult plain = Search(NewFolder(), LabFile(), {"--trials=2"});
  EXPECT_THAT(plain.err, Not(HasSubstr("without effect")));
  for (const auto& [setting, message] : std::map<std::string, std::string>{
           {"pruner=median", "search.strategy.pruner: trials are pruned by their training"},
           {"eval_mode=false", "search.strategy.eval_mode = false: nets are measured in"}}) {
    const CommandResult refused =
        Search(NewFolder(), LabFile(), {"--set=search.strategy." + setting});
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(message));
  }
}

TEST(SearchTest, LayerWidthsAreSearchedByShortTrainings) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, Runfile("testdata/configs/jsc_widths_search.toml"),
                                   {NotWider(2), "--max-epochs=1", "--apply_best"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 4u);
  const auto macs = [&](const char* trial) {
    return log[trial]["user_attrs_hardware_metrics"]["macs"].get<int>();
  };
  EXPECT_EQ(macs("0"), 16 * 16 + 16 * 16 + 16 * 5);  // The net as it is.
  EXPECT_EQ(macs("1"), 16 * 16 + 16 * 32 + 32 * 5);
  EXPECT_EQ(macs("3"), 16 * 32 + 32 * 32 + 32 * 5);
  EXPECT_EQ(log["1"]["user_attrs_sampled_config"],
            json::parse(R"({"seq_blocks_2": {"config": {"channel_multiplier": 1}},
                            "seq_blocks_4": {"config": {"channel_multiplier": 2}}})"));
  EXPECT_GT(log["0"]["user_attrs_software_metrics"]["accuracy_micro"].get<double>(), 0.4);
}

// Lab 4 on a trained net: channels that stay keep their weights, so that a net of the checkpoint's
// own widths has its accuracy, and the winner is a run that others load.
TEST(SearchTest, WidthsOfALoadedNetAreSlicedAndItsWinnerIsLoaded) {
  const std::string folder = NewFolder();
  const std::string config = folder + "/widths.toml";
  std::ofstream(config) << "model = 'jsc-toy'\ndataset = 'jsc-sim'\nbatch_size = 256\n"
                           "[search.search_space.seed.seq_blocks_2.config]\nchannels = [8, 6, 16]\n"
                           "[search.search_space.seed.default.config]\n"
                           "channel_multiplier = [1, 2]\n"
                           "[search.strategy.metrics]\naccuracy.direction = 'maximize'\n"
                           "parameters.direction = 'minimize'\n";
  const std::vector<std::string> words = {
      "--sampler=grid", "--load=" + Runfile("testdata/checkpoints/jsc-toy.safetensors")};
  const CommandResult first = Search(folder, config, words);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 6u);  // The last layer's outputs are the classes.
  const auto accuracy = [&](const char* trial) {
    return log[trial]["user_attrs_software_metrics"]["accuracy"].get<double>();
  };
  EXPECT_GT(accuracy("0"), 0.6);
  EXPECT_LT(accuracy("2"), accuracy("0"));  // Two channels are gone.
  std::vector<std::string> apply = words;
  apply.push_back("--apply=2");
  const CommandResult applied = Search(folder, config, apply);
  ASSERT_EQ(applied.exit_code, 0) << applied.err;
  const CommandResult shown = RunCommand("mase/ch", {"info", "--load=out/trial-2"}, folder);
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("6"));
}

// Widths and formats of the same nodes, of a net of the zoo.
TEST(SearchTest, FormatsAreForNetsOfTheirWidths) {
  const std::string folder = NewFolder();
  const std::string config = folder + "/both.toml";
  std::ofstream(config) << "model = 'jsc-nas'\ndataset = 'jsc-sim'\nbatch_size = 256\n"
                           "[search.search_space]\n"
                           "name = 'graph/quantize/mixed_precision_ptq'\nsetup.by = 'type'\n"
                           "[search.search_space.seed.default.config]\nname = ['NA']\n"
                           "[search.search_space.seed.linear.config]\nname = ['integer']\n"
                           "data_in_width = [8]\nweight_width = [4, 8]\nbias_width = [8]\n"
                           "channel_multiplier = [1, 2]\n"
                           "[search.strategy.setup]\nsampler = 'random'\nn_trials = 8\n"
                           "[search.strategy.metrics]\naverage_bitwidth.scale = 1\n"
                           "packed_bytes.scale = 1\nloss.scale = 1\n";
  const CommandResult run = Search(folder, config);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("The search space has 32 points: "));
  EXPECT_THAT(States(Read(folder + "/out/log.json")), ElementsAre(Pair("COMPLETE", 8)));
}

TEST(SearchTest, WidthsThatCannotBeAreRefusedOrFailTheirTrial) {
  const std::string net =
      "model = 'jsc-nas'\ndataset = 'jsc-sim'\nbatch_size = 256\n"
      "[search.strategy.metrics]\nloss.direction = 'minimize'\n[search.search_space.seed.";
  for (
      const BadCase& bad : std::vector<BadCase>{
          {"seq_blocks_6.config]\nchannels = [10]\n", 2,
           "seed.seq_blocks_6.config.channels: 'output' (output) has them as the net's results"},
          {"seq_blocks_3.config]\nchannels = [10]\n", 2,
           "seed.seq_blocks_3.config.channels: it has no channels of its own"},
          {"seq_blocks_22.config]\nchannels = [10]\n", 2, "seed.seq_blocks_22: no node of the net"},
          {"seq_blocks_2.config]\nchannels = [10]\nchannel_multiplier = [2]\n", 2,
           "want channels or channel_multiplier, not both"},
          {"seq_blocks_2.config]\nchannel_multiplier = [1, 0.3]\n", 0,
           "trial 1 failed: \"change_widths: 'seq_blocks_2' (linear): channel_multiplier = 0.3: 16 "
           "times that are 4.8 channels; want a whole number\""},
          {"seq_blocks_2.config]\nchannels = [0, 4]\n", 0, "trial 0 failed: "}}) {
    const std::string folder = NewFolder();
    std::ofstream(folder + "/bad.toml") << net << bad.tables;
    const CommandResult run = Search(folder, folder + "/bad.toml", {"--sampler=grid"});
    EXPECT_EQ(run.exit_code, bad.exit_code) << bad.tables << run.err;
    EXPECT_THAT(run.err, HasSubstr(bad.message)) << bad.tables;
  }
}

// A word in braces is any word of the layer list.
TEST(SearchTest, WordsOfTheLayerListAreChoices) {
  const std::string folder = NewFolder();
  const std::string config = folder + "/words.toml";
  std::ofstream(config) << "model = 'BN, Linear {width}, {activation}, Linear classes'\n"
                           "dataset = 'jsc-sim'\nbatch_size = 256\n"
                           "[search.search_space]\nconstraints = ['{width} >= 8']\n"
                           "[search.search_space.settings]\n'{width}' = [4, 8]\n"
                           "'{activation}' = ['ReLU', 'Tanh']\n"
                           "[search.strategy.metrics]\nmacs.direction = 'minimize'\n"
                           "loss.direction = 'minimize'\n";
  const CommandResult run = Search(folder, config, {"--sampler=grid"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log["1"]["user_attrs_hardware_metrics"]["macs"], 16 * 8 + 8 * 5);
  EXPECT_NE(log["0"]["user_attrs_software_metrics"]["loss"],
            log["1"]["user_attrs_software_metrics"]["loss"]);
}

// At this rate the loss of an epoch is soon above that of one before.
TEST(SearchTest, EarlyStoppingEndsATrialsTraining) {
  std::map<std::string, double> losses;
  for (const char* patience : {"0", "1", "15"}) {
    const std::string folder = NewFolder();
    const CommandResult run = Search(
        folder, Runfile("testdata/configs/jsc_widths_search.toml"),
        {NotWider(1), "--set=search.strategy.sw_runner.basic_train.max_epochs=15",
         "--set=search.strategy.sw_runner.basic_train.learning_rate=0.1", "--set=dataset.rows=4000",
         absl::StrCat("--set=search.strategy.sw_runner.basic_train.early_stopping=", patience)});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    losses[patience] = Read(folder + "/out/log.json")["0"]["user_attrs_software_metrics"]["loss"];
  }
  EXPECT_GT(losses["1"], losses["0"]);
  EXPECT_EQ(losses["15"], losses["0"]);
}

// Of four nets, two at a time, the third and the fourth have a parent: what they find is not what
// initial weights would, and the same for any number of jobs.
TEST(SearchTest, TrialsInheritTheWeightsOfTheirParents) {
  std::map<std::string, json> logs;
  for (const auto& [weights, jobs] : std::vector<std::pair<std::string, std::string>>{
           {"initial", "1"}, {"inherited", "1"}, {"inherited", "2"}}) {
    const std::string folder = NewFolder();
    const CommandResult run =
        Search(folder, Runfile("testdata/configs/jsc_widths_search.toml"),
               {NotWider(2), "--set=search.strategy.sw_runner.basic_train.weights=" + weights,
                "--deterministic", "--batch=2", "--jobs=" + jobs});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    logs[weights + jobs] = Read(folder + "/out/log.json");
    for (const char* number : {"0", "1", "2", "3"}) {
      EXPECT_EQ(fs::exists(absl::StrCat(folder, "/out/weights/", number, ".safetensors")),
                weights == "inherited");
    }
  }
  const json &initial = logs["initial1"], &inherited = logs["inherited1"];
  EXPECT_EQ(inherited, logs["inherited2"]);
  const auto loss = [](const json& log, const char* number) {
    return log[number]["user_attrs_software_metrics"]["loss"].get<double>();
  };
  for (const char* number : {"0", "1"}) EXPECT_EQ(loss(inherited, number), loss(initial, number));
  for (const char* number : {"2", "3"}) EXPECT_LT(loss(inherited, number), loss(initial, number));
}

TEST(SearchTest, InheritedWeightsAreRefusedWhereTheyCannotBe) {
  for (const auto& [flag, message] : std::map<std::string, std::string>{
           {"--storage=sqlite:///shared.db", "trained nets lie in one run directory"},
           {"--compare=grid,random", "samplers are compared by figures that do not depend"}}) {
    const CommandResult refused =
        Search(NewFolder(), Runfile("testdata/configs/jsc_widths_search.toml"),
               {"--set=search.strategy.sw_runner.basic_train.weights=inherited", flag});
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(message));
  }
}

TEST(SearchTest, TrialsThatTrainBadlyArePrunedTheSameForAnyNumberOfJobs) {
  std::vector<std::string> logs;
  for (const char* jobs : {"1", "3"}) {
    const std::string folder = NewFolder();
    const CommandResult run =
        Search(folder, Runfile("testdata/configs/jsc_widths_search.toml"),
               {NotWider(3), "--sampler=random",
                "--set=search.strategy.sw_runner.basic_train.max_epochs=3",
                "--set=search.strategy.pruner={name='median', n_startup_trials=2}",
                "--deterministic", "--batch=3", absl::StrCat("--jobs=", jobs)});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.err, HasSubstr(" of them were pruned"));
    const std::map<std::string, int> states = States(Read(folder + "/out/log.json"));
    ASSERT_THAT(states, ElementsAre(Pair("COMPLETE", Gt(2)), Pair("PRUNED", Gt(0))));
    EXPECT_EQ(states.at("COMPLETE") + states.at("PRUNED"), 9);
    logs.push_back(Contents(folder + "/out/log.json"));
  }
  EXPECT_EQ(logs[0], logs[1]);
}

TEST(SearchTest, ASamplerThatNobodyHasIsRefusedBeforeAnythingRuns) {
  const std::string folder = NewFolder();
  const std::string all =
      "tpe, grid, random, qmc, nsgaii, nsgaiii, moead, cmaes, allocator, greedy\n";
  for (const auto& [flag, from] : std::map<std::string, std::string>{
           {"--sampler=gird", "--sampler"},
           {"--compare=tpe,gird", "--compare"},
           {"--set=search.strategy.setup.sampler=gird", "search.strategy.setup.sampler"}}) {
    const CommandResult run = Search(folder, LabFile(), {flag});
    EXPECT_EQ(run.exit_code, 2) << flag;
    EXPECT_THAT(run.err, HasSubstr(absl::StrCat(
                             from, ": no sampler 'gird'; did you mean 'grid'?; there are ", all)));
  }
}

TEST(SearchTest, SamplersAreComparedOnOnePlot) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, LabFile(), {"--compare=grid,tpe,random", "--seeds=2"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("Samplers compared"));
  const std::string csv = Contents(folder + "/out/compare.csv");
  EXPECT_THAT(csv, HasSubstr("grid,1,18,"));
  EXPECT_THAT(csv, HasSubstr("tpe,2,18,"));
  EXPECT_THAT(Contents(folder + "/out/compare.svg"), HasSubstr("<svg"));
}

TEST(SearchTest, LabelsThatTheNetHasNoOutputForAreRefused) {
  const std::string folder = NewFolder();
  std::string table;
  for (int i = 0; i < 16; ++i) absl::StrAppend(&table, "f", i, ",");
  absl::StrAppend(&table, "class\n");
  for (int row = 0; row < 60; ++row) {
    for (int i = 0; i < 16; ++i) absl::StrAppend(&table, (row * 7 + i * 3) % 11, ",");
    absl::StrAppend(&table, "c", row % 3, "\n");
  }
  std::ofstream(folder + "/three.csv") << table;
  const CommandResult trained =
      RunCommand("mase/ch",
                 {"train", "Linear 3", "csv", "--set=dataset.train=three.csv",
                  "--set=dataset.validation=three.csv", "--max-epochs=1", "--run_dir=three"},
                 folder);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  std::ofstream(folder + "/search.toml")
      << "load_name = \"three/best.safetensors\"\ndataset = \"jsc-sim\"\n"
      << "[search.search_space]\nname = \"graph/quantize/mixed_precision_ptq\"\n"
      << "[search.search_space.seed.default.config]\nname = [\"NA\"]\n"
      << kMetrics;
  const CommandResult run = Search(folder, folder + "/search.toml", {"--set=dataset.recipe=false"});
  EXPECT_EQ(run.exit_code, 2) << run.out;
  EXPECT_THAT(run.err, HasSubstr("the data has the label 3, but the net has only 3 outputs"));
}

// Each layer's choices alone, then the best sums within the limit; the gap to the optimum is told.
TEST(SearchTest, TheAllocatorKeepsALimitAndTellsTheGap) {
  const std::string tables =
      "[search.search_space]\nname = \"graph/quantize/mixed_precision_ptq\"\n"
      "constraints = [\"packed_bytes <= 80\"]\n"
      "[search.search_space.seed.seq_blocks_0.config]\nname = [\"integer\"]\n"
      "data_in_width = [4, 8]\nweight_width = [4, 8]\nbias_width = [8]\n"
      "[search.search_space.seed.seq_blocks_2.config]\nname = [\"integer\"]\n"
      "data_in_width = [3, 4, 8]\nweight_width = [2, 4, 6, 8]\nbias_width = [4, 8]\n"
      "[search.strategy.metrics]\nloss.direction = \"minimize\"\n";
  const std::string folder = NewFolder();
  const std::string config = WriteConfig(folder, tables);
  const CommandResult run =
      Search(folder, config, {"--sampler=allocator", "--trials=40", "--html"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("try each choice of each layer alone."));
  EXPECT_THAT(run.out, HasSubstr("What layers alone foretell of loss"));
  EXPECT_THAT(Contents(folder + "/out/allocations.csv"),
              StartsWith("trial,measured,foretold,best foretold at its cost,gap,proven\n"));
  const std::string page = Contents(folder + "/out/report.html");
  for (const char* part :
       {"<section id=\"best\">", "<section id=\"search\">", "<section id=\"parallel\">",
        "<section id=\"importances\">", "<figure class=\"parallel\">", "path class=\"front\""}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  const CommandResult few = Search(NewFolder(), config, {"--sampler=greedy", "--trials=3"});
  EXPECT_EQ(few.exit_code, 2);
  EXPECT_THAT(few.err, HasSubstr("sampler greedy first tries each choice of each layer alone: "));
}

// A weight of EBOPs for each trial: the more they cost, the fewer training keeps.
TEST(SearchTest, LearnedWidthsAreAFront) {
  const std::string folder = NewFolder();
  const std::vector<std::string> words = {
      "search",
      "--config=" + Runfile("testdata/configs/jsc_learned_widths.toml"),
      "--run_dir=out",
      "--set=dataset.rows=4000",
      "--set=learning_rate=5e-2",
      "--set=search.strategy.sw_runner.basic_train.max_epochs=10"};
  const auto with = [&words](const std::string& flag) {
    std::vector<std::string> all = words;
    all.push_back(flag);
    return all;
  };
  const CommandResult early = RunCommand("mase/ch", with("--apply=2"), folder);
  EXPECT_EQ(early.exit_code, 2);
  EXPECT_THAT(early.err, HasSubstr("--apply=2 wants the --run_dir of a search that is there"));
  EXPECT_FALSE(fs::exists(folder + "/out"));
  const CommandResult first = RunCommand("mase/ch", with("--apply_best"), folder);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const json log = Read(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 8u);
  const double free = log["0"]["user_attrs_hardware_metrics"]["ebops"];
  const double dear = log["7"]["user_attrs_hardware_metrics"]["ebops"];
  EXPECT_LT(dear, 0.95 * free);  // Norms stay float and cost the same.
  const CommandResult load = RunCommand("mase/ch", {"test", "--load=out"}, folder);
  EXPECT_EQ(load.exit_code, 2);
  EXPECT_THAT(load.err, HasSubstr("is a search, which has nets of the trials that are applied"));
  EXPECT_THAT(load.err, HasSubstr("out/trial-"));
}

TEST(SearchTest, GoalsAndMetricsOfClassesAndCosts) {
  const std::string folder = NewFolder();
  const std::string tables =
      "[search.search_space]\nname = \"graph/quantize/mixed_precision_ptq\"\n"
      "[search.search_space.seed.seq_blocks_2.config]\nname = [\"integer\"]\n"
      "data_in_width = [8]\nweight_width = [2, 4, 8]\nbias_width = [8]\n"
      "[search.strategy.metrics]\nrecall_t.direction = \"maximize\"\n";
  const CommandResult run = Search(folder, WriteConfig(folder, tables),
                                   {"--sampler=grid", "--goal", "average_bitwidth <= 4"});
  ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
  const json log = Read(folder + "/out/log.json");
  EXPECT_TRUE(log["0"]["user_attrs_software_metrics"]["recall_t"].is_number());
  EXPECT_THAT(run.out, HasSubstr("of 2 that meet the goals"));
  const CommandResult none =
      Search(NewFolder(), WriteConfig(folder, tables), {"--sampler=grid", "--goal", "ebops <= 1"});
  EXPECT_EQ(none.exit_code, 3);
  std::string wrong = tables;
  wrong.replace(wrong.find("recall_t"), 8, "recall_x");
  const CommandResult unknown = Search(NewFolder(), WriteConfig(folder, wrong));
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("recall_x: no such metric"));
}

TEST(SearchTest, FlagsThatContradictAndDirectoriesThatDoNotFit) {
  const std::string folder = NewFolder();
  ASSERT_EQ(Search(folder, LabFile(), {"--sampler=grid"}).exit_code, 0);
  const CommandResult other = Search(folder, LabFile(), {"--sampler=random"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("search.strategy.setup.sampler.name: \"grid\" -> \"random\""));
  const CommandResult both =
      Search(folder, LabFile(), {"--sampler=grid", "--apply=2", "--apply_best"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("--apply=2 and --apply_best: want one of the two"));
  const std::string before = Contents(folder + "/out/summary.json");
  const CommandResult compare = Search(folder, LabFile(), {"--compare=grid,random"});
  EXPECT_EQ(compare.exit_code, 2);
  EXPECT_THAT(compare.err, HasSubstr("--compare writes a directory of its own"));
  EXPECT_EQ(Contents(folder + "/out/summary.json"), before);
}

TEST(SearchTest, BadSearchesSayWhatIsWrong) {
  const std::string space =
      "[search.search_space]\nname = \"graph/quantize/mixed_precision_ptq\"\n";
  const std::string seed = "[search.search_space.seed.";
  const std::vector<BadCase> cases = {
      {"", 2, "nothing to search"},
      {absl::StrCat("[search.search_space]\n", kMetrics), 2, "the search space is empty"},
      {absl::StrCat(space, seed,
                    "linaer.config]\nname=['integer']\n[search.search_space.setup]\n"
                    "by = 'type'\n",
                    kMetrics),
       2,
       "seed.linaer: no op of the net that can have a format is called so; did you mean "
       "'linear'?"},
      {absl::StrCat(space, seed, "seq_blocks_2.config]\nname=[]\n", kMetrics), 2,
       "search.search_space.seed.seq_blocks_2.config.name: no values"},
      {absl::StrCat(space, seed, "seq_blocks_2.config]\nname=['intger']\n", kMetrics), 2,
       "search.search_space.seed.seq_blocks_2.config.name: unknown format 'intger'; did you mean "
       "'integer'?"},
      {absl::StrCat(space, seed, "seq_blocks_2.config]\nname=['integer']\nweight_widht=[2,4]\n",
                    kMetrics),
       2, "config.weight_widht: no format has this key; did you mean 'weight_width'?"},
      {absl::StrCat(space, seed,
                    "seq_blocks_2.config]\nname=['integer']\ndata_in_width=[8]\n"
                    "weight_width=[8]\nbias_width=[8, 40]\n",
                    kMetrics),
       0, "trial 1 failed: \"seq_blocks_2: "},
      {absl::StrCat(space, seed, "default.config]\nname=['NA']\n"), 2, "no metric; want some of"},
      {absl::StrCat(space, seed, "default.config]\nname=['NA']\n",
                    "[search.strategy.metrics]\nacuracy.scale = 1\n"),
       2, "metrics.acuracy: no such metric; did you mean 'accuracy'?"},
      {absl::StrCat(space, seed, "seq_blocks_2.config]\nname=['integer']\nweigth_width=[2,4]\n",
                    kMetrics),
       2, "config.weigth_width: is no key of a rule; did you mean 'weight_width'?"},
      {absl::StrCat("[search.search_space]\nconstraints = ['batch_size > 300']\n"
                    "[search.search_space.settings]\nbatch_size = [128, 256]\n",
                    kMetrics),
       2, "search.search_space.constraints leave none of the 2 points: batch_size > 300; "},
      {absl::StrCat("[search.search_space.settings]\nbatch_size = [0, 1.5]\n", kMetrics), 2,
       "batch_size"},
  };
  for (const BadCase& bad : cases) {
    const std::string folder = NewFolder();
    const CommandResult run = Search(folder, WriteConfig(folder, bad.tables), {"--sampler=grid"});
    EXPECT_EQ(run.exit_code, bad.exit_code) << bad.tables << run.err;
    EXPECT_THAT(run.err, HasSubstr(bad.message)) << bad.tables;
  }
}

}  // namespace
}  // namespace mase
