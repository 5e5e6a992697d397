#include "mase/search/study.h"

#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

StudySpec Spec() {
  return {.name = "test",
          .directions = {Direction::kMaximize},
          .metric_names = {"accuracy"},
          .space = ValueOrDie(ParameterSpace::Create({IntegerParameter("a", 0, 9)}))};
}

TEST(StudyTest, TrialsAreNumberedOnAndEnqueuedOnesComeFirst) {
  auto study = ValueOrDie(Study::Open({}, Spec()));
  EXPECT_OK(study->Enqueue({5}));
  std::vector<Trial> trials = ValueOrDie(study->Begin(2));
  ASSERT_THAT(trials, SizeIs(2));
  EXPECT_EQ(trials[0].number, 0);
  EXPECT_THAT(trials[0].point, ElementsAre(5));
  EXPECT_EQ(trials[1].number, 1);
  EXPECT_THAT(trials[1].point, ElementsAre());
  trials[1].point = {3};
  EXPECT_OK(study->Choose(trials[1]));
  trials[1].state = TrialState::kComplete;
  trials[1].values = {0.5};
  EXPECT_OK(study->Finish(trials[1]));
  EXPECT_EQ(study->history().size(), 1u);
  EXPECT_THAT(study->running(), SizeIs(1));
  EXPECT_THAT(study->Finish(trials[1]),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("trial 1")));
}

TEST(StudyTest, PointsOutsideOfTheSpaceAreNotEnqueued) {
  auto study = ValueOrDie(Study::Open({}, Spec()));
  EXPECT_THAT(study->Enqueue({11}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a'")));
}

}  // namespace
}  // namespace mase
