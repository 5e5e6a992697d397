// Searches of nets: of the widths of their layers, the words of a layer list, widths that are
// learned; trials that train.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/search_command.h"
#include "mase/testing/command.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

namespace fs = std::filesystem;

using ::nlohmann::json;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(SearchWidthsTest, LayerWidthsAreSearchedByShortTrainings) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, Runfile("testdata/configs/jsc_widths_search.toml"),
                                   {NotWider(2), "--max-epochs=1", "--apply_best"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json log = ReadJson(folder + "/out/log.json");
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
TEST(SearchWidthsTest, WidthsOfALoadedNetAreSlicedAndItsWinnerIsLoaded) {
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
  const json log = ReadJson(folder + "/out/log.json");
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
TEST(SearchWidthsTest, FormatsAreForNetsOfTheirWidths) {
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
  EXPECT_THAT(States(ReadJson(folder + "/out/log.json")), ElementsAre(Pair("COMPLETE", 8)));
}

TEST(SearchWidthsTest, WidthsThatCannotBeAreRefusedOrFailTheirTrial) {
  const std::string net =
      "model = 'jsc-nas'\ndataset = 'jsc-sim'\nbatch_size = 256\n"
      "[search.strategy.metrics]\nloss.direction = 'minimize'\n[search.search_space.seed.";
  for (
      const BadSearch& bad : std::vector<BadSearch>{
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
          {"seq_blocks_2.config]\nchannels = [4, 0]\n", 2,
           "bad.toml:7:13: search.search_space.seed.seq_blocks_2.config.channels = 0: search: "
           "passes.change_widths.seq_blocks_2.config.channels: 0 is out of range, want at least 1"},
          {"seq_blocks_2.config]\nchannels = ['four']\n", 2, "want an integer, got \"four\""}}) {
    const std::string folder = NewFolder();
    std::ofstream(folder + "/bad.toml") << net << bad.tables;
    const CommandResult run = Search(folder, folder + "/bad.toml", {"--sampler=grid"});
    EXPECT_EQ(run.exit_code, bad.exit_code) << bad.tables << run.err;
    EXPECT_THAT(run.err, HasSubstr(bad.message)) << bad.tables;
  }
}

// A word in braces is any word of the layer list.
TEST(SearchWidthsTest, WordsOfTheLayerListAreChoices) {
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
  const json log = ReadJson(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log["1"]["user_attrs_hardware_metrics"]["macs"], 16 * 8 + 8 * 5);
  EXPECT_NE(log["0"]["user_attrs_software_metrics"]["loss"],
            log["1"]["user_attrs_software_metrics"]["loss"]);
}

// At this rate the loss of an epoch is soon above that of one before.
TEST(SearchWidthsTest, EarlyStoppingEndsATrialsTraining) {
  std::map<std::string, double> losses;
  for (const char* patience : {"0", "1", "15"}) {
    const std::string folder = NewFolder();
    const CommandResult run = Search(
        folder, Runfile("testdata/configs/jsc_widths_search.toml"),
        {NotWider(1), "--set=search.strategy.sw_runner.basic_train.max_epochs=15",
         "--set=search.strategy.sw_runner.basic_train.learning_rate=0.1", "--set=dataset.rows=4000",
         absl::StrCat("--set=search.strategy.sw_runner.basic_train.early_stopping=", patience)});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    losses[patience] =
        ReadJson(folder + "/out/log.json")["0"]["user_attrs_software_metrics"]["loss"];
  }
  EXPECT_GT(losses["1"], losses["0"]);
  EXPECT_EQ(losses["15"], losses["0"]);
}

// Of four nets, two at a time, the third and the fourth have a parent: what they find is not what
// initial weights would, and the same for any number of jobs.
TEST(SearchWidthsTest, TrialsInheritTheWeightsOfTheirParents) {
  std::map<std::string, json> logs;
  for (const auto& [weights, jobs] : std::vector<std::pair<std::string, std::string>>{
           {"initial", "1"}, {"inherited", "1"}, {"inherited", "2"}}) {
    const std::string folder = NewFolder();
    const CommandResult run =
        Search(folder, Runfile("testdata/configs/jsc_widths_search.toml"),
               {NotWider(2), "--set=search.strategy.sw_runner.basic_train.weights=" + weights,
                "--deterministic", "--batch=2", "--jobs=" + jobs});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    logs[weights + jobs] = ReadJson(folder + "/out/log.json");
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

TEST(SearchWidthsTest, InheritedWeightsAreRefusedWhereTheyCannotBe) {
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

TEST(SearchWidthsTest, TrialsThatTrainBadlyArePrunedTheSameForAnyNumberOfJobs) {
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
    const std::map<std::string, int> states = States(ReadJson(folder + "/out/log.json"));
    ASSERT_THAT(states, ElementsAre(Pair("COMPLETE", Gt(2)), Pair("PRUNED", Gt(0))));
    EXPECT_EQ(states.at("COMPLETE") + states.at("PRUNED"), 9);
    logs.push_back(Contents(folder + "/out/log.json"));
  }
  EXPECT_EQ(logs[0], logs[1]);
}

// A weight of EBOPs for each trial: the more they cost, the fewer training keeps.
TEST(SearchWidthsTest, LearnedWidthsAreAFront) {
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
  const json log = ReadJson(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 8u);
  const double free = log["0"]["user_attrs_hardware_metrics"]["ebops"];
  const double dear = log["7"]["user_attrs_hardware_metrics"]["ebops"];
  EXPECT_LT(dear, 0.95 * free);  // Norms stay float and cost the same.
  const CommandResult load = RunCommand("mase/ch", {"test", "--load=out"}, folder);
  EXPECT_EQ(load.exit_code, 2);
  EXPECT_THAT(load.err, HasSubstr("is a search, which has nets of the trials that are applied"));
  EXPECT_THAT(load.err, HasSubstr("out/trial-"));
}

}  // namespace
}  // namespace mase
