// Figures beyond accuracy, goals and their exit code, as their users see them.
#include <filesystem>
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

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// jsc-tiny on 1,000 real jets: 717 are right before it is quantized, 709 after.
CommandResult Transform(const std::vector<std::string>& more, const std::string& folder,
                        const std::vector<std::string>& environment = {}) {
  std::vector<std::string> words = {
      absl::StrCat("--config=", Runfile("testdata/configs/jsc_tiny_integer.toml"))};
  words.insert(words.end(), more.begin(), more.end());
  return RunCommand("mase/transform", words, folder, environment);
}

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

// The summary without what differs between equal runs.
json Summary(const std::string& run) {
  json summary = json::parse(Contents(run + "/summary.json"));
  for (const char* key : {"started", "seconds", "command_line"}) summary.erase(key);
  for (json& pass : summary["passes"]) pass.erase("seconds");
  return summary;
}

TEST(MetricsTest, ATransformSaysWhetherTheRowsTellTheNetsApart) {
  const std::string folder = NewFolder();
  const CommandResult run = Transform({"--run_dir=run", "--topk=2"}, folder);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("The accuracy falls by 0.8 points on the same 1,000 rows"),
                    HasSubstr("accuracy 0.709, 95 % interval 0.680 to 0.736 (Wilson)"),
                    HasSubstr("do not tell the two apart"),
                    ContainsRegex("class +precision +recall +F1 +rows"),
                    ContainsRegex("mean \\(macro\\) +0\\.[0-9]{3}"),
                    ContainsRegex("top-2 accuracy 0\\.[0-9]{3}, calibration error 0\\.[0-9]"
                                  "{3} \\(15 bins\\), ROC AUC 0\\.[0-9]{3}")));
  const json summary = Summary(folder + "/run");
  EXPECT_EQ(summary["metrics"][0]["correct"], 717);
  ASSERT_EQ(summary["comparisons"].size(), 1u);
  EXPECT_EQ(summary["comparisons"][0]["decided"], false);
  int rows = 0;
  for (const json& one : summary["classes"]) {
    for (const json& count : one["taken_for"]) rows += count.get<int>();
  }
  EXPECT_EQ(rows, 1000);

  const CommandResult again =
      Transform({"--run_dir=again", "--topk=2"}, folder, {"OMP_NUM_THREADS=3"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(Summary(folder + "/again"), summary);
}

TEST(GoalsTest, WhatIsReachedEndsWell) {
  const std::string folder = NewFolder();
  const CommandResult run =
      Transform({"--run_dir=run", "--goal", "accuracy >= 0.709", "--goal=original.accuracy > 71 %",
                 "--goal=accuracy_drop <= 0.8 points", "--goal=bytes <= 500",
                 "--goal=latency_us <= 100 ms", "--junit=goals.xml"},
                folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(ContainsRegex("goal +value +margin +met +comment"),
                             ContainsRegex("accuracy >= 0.709 +0.709 +\\+?0 +yes +709 of 1,000")));
  EXPECT_EQ(Summary(folder + "/run")["status"], "ok");
  EXPECT_THAT(Contents(folder + "/goals.xml"), HasSubstr("tests=\"5\" failures=\"0\""));
  EXPECT_THAT(Contents(folder + "/run/settings.textproto"), Not(HasSubstr("goals.xml")));
}

TEST(GoalsTest, AMissedOneIsExitCodeThreeWithEverythingWritten) {
  const std::string folder = NewFolder();
  const CommandResult run = Transform({"--run_dir=run", "--goal=accuracy >= 0.70",
                                       "--goal=accuracy_drop <= 0.5 points", "--junit=goals.xml"},
                                      folder);
  EXPECT_EQ(run.exit_code, 3) << run.err;
  EXPECT_THAT(run.err, HasSubstr("a goal was not met: accuracy_drop <= 0.5 points (it is 0.8 "
                                 "points)"));
  EXPECT_THAT(run.out, AllOf(ContainsRegex("accuracy_drop <= 0.5 points +0.8 +-0.3 +no"),
                             HasSubstr("transformed.safetensors")));
  const json summary = Summary(folder + "/run");
  EXPECT_EQ(summary["status"], "missed");
  EXPECT_EQ(summary["goals"][0]["met"], true);
  EXPECT_EQ(summary["goals"][1]["met"], false);
  for (const std::string file : summary["artifacts"]) {
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(folder, "/run/", file))) << file;
  }
  EXPECT_THAT(Contents(folder + "/goals.xml"),
              AllOf(HasSubstr("failures=\"1\""), HasSubstr("it is 0.8 points, 8 fewer of 1,000")));
}

TEST(GoalsTest, WhatCannotBeReachedIsSaidBeforeTheRun) {
  const std::string folder = NewFolder();
  const std::pair<const char*, const char*> cases[] = {
      {"--goal=acuracy >= 0.7",
       "--goal: goal 'acuracy >= 0.7': no figure 'acuracy'; did you mean "
       "'accuracy'?"},
      {"--goal=best.loss <= 1", "'best' is no stage or split of this run; did you mean 'test'?"},
      {"--goal=quantze.x <= 1", "no figure 'quantze'; did you mean 'quantize'?"},
      {"--goal=accuracy >= 0.7 bytes", "'bytes' is no unit of accuracy"},
      {"--goal=top3_accuracy >= 0.7", "top3_accuracy is counted with --topk=3"},
  };
  for (const auto& [goal, message] : cases) {
    const CommandResult run = Transform({"--run_dir=run", goal}, folder);
    EXPECT_EQ(run.exit_code, 2) << goal;
    EXPECT_THAT(run.err, HasSubstr(message));
  }
  EXPECT_FALSE(std::filesystem::exists(folder + "/run"));
}

TEST(GoalsTest, AFigureThatAPassDoesNotReportMissesItsGoal) {
  const std::string folder = NewFolder();
  const CommandResult run =
      Transform({"--run_dir=run", "--goal=quantize.nodes_quantzed >= 1"}, folder);
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, HasSubstr("no 'nodes_quantzed' in what the pass found"));
}

}  // namespace
}  // namespace mase
