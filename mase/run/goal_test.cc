#include "mase/run/goal.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/run/goal_report.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ParseGoalTest, FigureRelationNumberUnit) {
  const Goal goal = ValueOrDie(ParseGoal(" original.accuracy>=70.9 points"));
  EXPECT_THAT(goal.figure, ElementsAre("original", "accuracy"));
  EXPECT_EQ(goal.metric(), "accuracy");
  EXPECT_EQ(goal.relation, Goal::Relation::kAtLeast);
  EXPECT_EQ(goal.limit, 0.709) << "the nearest double, which 70.9 / 100 is not";
  EXPECT_EQ(ValueOrDie(ParseGoal("latency_us < 1.5 ms")).limit, 1500);
  EXPECT_EQ(ValueOrDie(ParseGoal("bytes <= 2e0 kB")).limit, 2000);
  EXPECT_EQ(ValueOrDie(ParseGoal("top5_accuracy > 90%")).limit, 0.9);
  EXPECT_EQ(ValueOrDie(ParseGoal("calculate_bitops.total.forward_bitops <= 2e6")).metric(), "");
  // Metrics of nets may have names that passes give to what they count.
  EXPECT_EQ(ValueOrDie(ParseGoal("summary.total.macs <= 2e6")).metric(), "");
  EXPECT_EQ(ValueOrDie(ParseGoal("original.macs <= 2e6")).metric(), "macs");
  EXPECT_EQ(ValueOrDie(ParseGoal("ebops <= 2e6")).metric(), "ebops");
}

TEST(ParseGoalTest, WhatIsNoGoalIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"accuracy", "want FIGURE >=|<=|>|< NUMBER [UNIT], as \"accuracy >= 0.7\""},
      {"accuracy = 0.7", "want FIGURE"},
      {"accuracy == 0.7", "want FIGURE"},
      {">= 0.7", "want FIGURE"},
      {"a..b >= 0.7", "want FIGURE"},
      {"accuracy >= seven", "'seven' is no finite number"},
      {"accuracy >= 1e999", "is no finite number"},
      {"accuracy >= nan", "is no finite number"},
      {"accuracy >= 7 bytes", "'bytes' is no unit of accuracy; want points, % or none"},
      {"loss <= 1 points", "'points' is no unit of loss, which has none"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(ParseGoal(text), StatusIs(kInvalid, HasSubstr(message))) << text;
  }
}

RunConfig Settings(const std::vector<std::string>& goals, bool with_passes = true) {
  RunConfig settings;
  for (const std::string& goal : goals) settings.mutable_goals()->add_require(goal);
  settings.mutable_evaluation()->set_enabled(true);
  if (with_passes) settings.add_passes()->set_name("calculate_bitops");
  return settings;
}

TEST(ReadGoalsTest, WhatTheRunCannotHaveIsSaidBeforeIt) {
  EXPECT_OK(ReadGoals(Settings({"original.accuracy >= 0", "accuracy_drop <= 1 points",
                                "calculate_bitops.total.x <= 1", "test.loss <= 1"}),
                      "transform"));
  EXPECT_THAT(ReadGoals(Settings({"acuracy >= 0.7", "orignal.loss <= 1"}), "transform"),
              StatusIs(kInvalid, AllOf(HasSubstr("no figure 'acuracy'; "
                                                 "did you mean 'accuracy'"),
                                       HasSubstr("'orignal' is no stage or split of this run; did "
                                                 "you mean 'original'?"))));
  EXPECT_THAT(ReadGoals(Settings({"calculate_bitop.total.x <= 1"}), "transform"),
              StatusIs(kInvalid,
                       HasSubstr("no figure 'calculate_bitop'; did you mean 'calculate_bitops'?")));
  EXPECT_THAT(ReadGoals(Settings({"accuracy_drop <= 0.1"}, false), "test"),
              StatusIs(kInvalid, HasSubstr("not measured before and after")));
  EXPECT_THAT(ReadGoals(Settings({"transformed.loss <= 1"}, false), "train"),
              StatusIs(kInvalid, HasSubstr("it has train, validation, test, best")));
  RunConfig unmeasured = Settings({"accuracy >= 0.1"});
  unmeasured.mutable_evaluation()->set_enabled(false);
  EXPECT_THAT(ReadGoals(unmeasured, "transform"),
              StatusIs(kInvalid, HasSubstr("evaluation.enabled is false")));
}

void AddMetric(RunReport& report, const char* name, const char* stage, const char* split,
               double value, int correct = -1) {
  MetricReport* metric = report.add_metrics();
  metric->set_name(name);
  metric->set_stage(stage);
  metric->set_split(split);
  metric->set_value(value);
  metric->set_samples(1000);
  if (correct >= 0) metric->set_correct(correct);
}

RunReport Measured() {
  RunReport report;
  report.set_action("transform");
  report.mutable_model()->set_name("jsc-tiny");
  report.mutable_model()->set_parameters(117);
  AddMetric(report, "accuracy", "original", "test", 717.0F / 1000, 717);
  AddMetric(report, "loss", "original", "test", 0.8);
  AddMetric(report, "accuracy", "transformed", "test", 709.0F / 1000, 709);
  AddMetric(report, "loss", "transformed", "test", 0.9);
  PassReport* pass = report.add_passes();
  pass->set_name("calculate_bitops");
  (*pass->mutable_counts())["nodes"] = 4;
  (*(*pass->mutable_result()->mutable_fields())["total"]
        .mutable_struct_value()
        ->mutable_fields())["forward_bitops"]
      .set_number_value(2e6);
  return report;
}

absl::Status Measure(const std::vector<std::string>& texts, RunReport& report) {
  std::vector<Goal> goals;
  for (const std::string& text : texts) goals.push_back(ValueOrDie(ParseGoal(text)));
  SetGoals(goals, report);
  return MeasureGoals(report);
}

TEST(MeasureGoalsTest, CountsAreComparedAsCounts) {
  RunReport report = Measured();
  EXPECT_LT(709.0F / 1000, 0.709) << "what a comparison of the printed figures would miss";
  EXPECT_OK(Measure({"accuracy >= 0.709", "accuracy >= 70.9 %", "accuracy_drop <= 0.8 points",
                     "accuracy_drop <= 0.008", "original.test.accuracy > 0.7169"},
                    report));
  EXPECT_EQ(report.goals(0).comment(), "709 of 1,000 rows");
  EXPECT_EQ(report.goals(0).margin(), 0);
  EXPECT_EQ(report.goals(2).comment(), "8 fewer of 1,000 rows");
  EXPECT_THAT(Measure({"accuracy > 0.709"}, report), StatusIs(absl::StatusCode::kAborted));
}

TEST(MeasureGoalsTest, FiguresOfRunAndPasses) {
  RunReport report = Measured();
  EXPECT_OK(Measure({"parameters <= 117", "loss_rise < 0.11", "test.loss <= 0.9",
                     "calculate_bitops.nodes >= 4", "calculate_bitops.total.forward_bitops <= 2e6"},
                    report));
  EXPECT_EQ(report.goals(4).value(), 2e6);
}

TEST(MeasureGoalsTest, MissedOnesAreNamedWithWhatIs) {
  RunReport report = Measured();
  EXPECT_THAT(
      Measure({"accuracy_drop <= 0.5 points", "loss <= 1", "latency_us <= 1",
               "calculate_bitops.total.forward_bitop <= 1", "calculate_bitops.total <= 1"},
              report),
      StatusIs(
          absl::StatusCode::kAborted,
          AllOf(HasSubstr("goals were not met: accuracy_drop <= 0.5 points (it is 0.8 points)"),
                HasSubstr("latency_us <= 1 (not known: it was not measured)"),
                HasSubstr("did you mean 'forward_bitops'?"),
                HasSubstr("it is no number, but has: forward_bitops"))));
  EXPECT_FALSE(report.goals(0).met());
  EXPECT_DOUBLE_EQ(report.goals(0).margin(), -0.3);
  EXPECT_TRUE(report.goals(1).met());
  EXPECT_FALSE(report.goals(2).has_value());
  EXPECT_EQ(GoalTable(report).num_rows(), 5);
}

TEST(MeasureGoalsTest, EpochsOfATrainingAreTheBestOne) {
  RunReport report;
  for (const char* epoch : {"epoch 0", "epoch 1", "epoch 2"}) {
    AddMetric(report, "loss", epoch, "validation", epoch[6] - '0');
  }
  EXPECT_OK(Measure({"validation.loss >= 2"}, report));
  report.set_best_epoch(1);
  EXPECT_OK(Measure({"validation.loss >= 1", "validation.loss <= 1"}, report));
}

TEST(GoalsAsJunitTest, OneCaseAGoal) {
  RunReport report = Measured();
  report.set_seconds(1.5);
  std::vector<Goal> goals = {ValueOrDie(ParseGoal("accuracy >= 0.7")),
                             ValueOrDie(ParseGoal("loss < 0.5"))};
  SetGoals(goals, report);
  EXPECT_TRUE(NeedsMetric(report, "loss"));
  EXPECT_FALSE(NeedsMetric(report, "latency_us"));
  EXPECT_THAT(MeasureGoals(report), StatusIs(absl::StatusCode::kAborted));
  report.mutable_data()->set_name("a<b>");
  EXPECT_EQ(GoalsAsJunit({SuiteOf("", report)}),
            R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" failures="1" errors="0" time="1.500">
  <testsuite name="transform jsc-tiny a&lt;b&gt;" tests="2" failures="1" errors="0" time="1.500">
    <testcase classname="transform jsc-tiny a&lt;b&gt;" name="accuracy &gt;= 0.7" time="0"/>
    <testcase classname="transform jsc-tiny a&lt;b&gt;" name="loss &lt; 0.5" time="0">
      <failure message="it is 0.9"/>
    </testcase>
  </testsuite>
</testsuites>
)");
  SetGoals(goals, report);
  report.set_error("no \"such\" file");
  EXPECT_THAT(GoalsAsJunit({SuiteOf("", report)}),
              AllOf(HasSubstr("errors=\"2\""), HasSubstr("message=\"no &quot;such&quot; file\"")));
}

}  // namespace
}  // namespace mase
