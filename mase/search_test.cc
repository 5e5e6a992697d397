// `ch search`: whole searches as a user runs them.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
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
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(SearchTest, MasesFileOfLab3RunsAndAGridFindsTheWholeFront) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, LabFile(), {"--sampler=grid"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("The search space has 18 points: 9 choices for 3 nodes."));
  EXPECT_THAT(run.out, HasSubstr("Best trials (Pareto front)"));
  EXPECT_THAT(run.out, HasSubstr("whole test split"));
  const json log = ReadJson(folder + "/out/log.json");
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
  const json best = ReadJson(folder + "/out/best.json");
  EXPECT_EQ(best.size(), 3u);  // One for each width of the weight.
  EXPECT_THAT(Contents(folder + "/out/front.md"), StartsWith("| trial |"));
  EXPECT_THAT(Contents(folder + "/out/trials.csv"), StartsWith("trial,state,accuracy,"));
}

TEST(SearchTest, TwentyTrialsOfEighteenPointsAreEighteen) {
  const std::string folder = NewFolder();
  const CommandResult run = Search(folder, LabFile(), {"--sampler=random"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(ReadJson(folder + "/out/log.json").size(), 18u);
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
      folder,
      absl::StrCat("[passes.quantize]\nby = \"type\"\n[passes.quantize.linear]\n"
                   "config = \"integer 8/4\"\n"
                   "[search.search_space]\n"
                   "constraints = [\"passes.quantize.linear.config != 'minifloat_ieee 8/4'\"]\n"
                   "[search.search_space.settings]\n"
                   "\"passes.quantize.linear.config\" = [\"integer 8/4\", \"integer 4/2\", "
                   "\"minifloat_ieee 8/4\"]\n"
                   "[search.strategy.setup]\nsampler = \"grid\"\n",
                   kMetrics));
  const CommandResult run = Search(folder, config, {"--apply_best"});
  ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
  const json log = ReadJson(folder + "/out/log.json");
  ASSERT_EQ(log.size(), 2u);
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
  const json log = ReadJson(folder + "/out/log.json");
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
           {"setup.n_jobs=0", "n_jobs (--jobs) = 0: no trial would run; want how many"},
           {"eval_mode=false", "search.strategy.eval_mode = false: nets are measured in"}}) {
    const CommandResult refused =
        Search(NewFolder(), LabFile(), {"--set=search.strategy." + setting});
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(message));
  }
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
  const json log = ReadJson(folder + "/out/log.json");
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
  const std::vector<BadSearch> cases = {
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
      {absl::StrCat("[search.search_space]\nconstraints = ['packed_bytes <= 8O']\n"
                    "[search.search_space.settings]\nbatch_size = [128, 256]\n",
                    kMetrics),
       2, "\"packed_bytes <= 8O\": '8O' is no choice and no metric, and no number"},
      {absl::StrCat("[search.search_space.settings]\nbatch_size = [0, 1.5]\n", kMetrics), 2,
       "batch_size"},
  };
  for (const BadSearch& bad : cases) {
    const std::string folder = NewFolder();
    const CommandResult run = Search(folder, WriteConfig(folder, bad.tables), {"--sampler=grid"});
    EXPECT_EQ(run.exit_code, bad.exit_code) << bad.tables << run.err;
    EXPECT_THAT(run.err, HasSubstr(bad.message)) << bad.tables;
  }
}

}  // namespace
}  // namespace mase
