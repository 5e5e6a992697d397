#include "mase/search/winner.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(WinnerTest, ATrialThatIsNamedMustHaveAWholePoint) {
  const ParameterSpace space = ValueOrDie(ParameterSpace::Create(
      {CategoricalParameter("width", {2, 4}), CategoricalParameter("name", {8, 16})}));
  TrialHistory history;
  history.Add({.number = 0, .state = TrialState::kComplete, .point = {1, 0}});
  history.Add({.number = 1, .state = TrialState::kPruned, .point = {1, kInactive}});
  history.Add({.number = 2, .state = TrialState::kFailed});
  history.Add({.number = 3, .state = TrialState::kFailed, .point = {1, 2}});
  EXPECT_EQ(ValueOrDie(NamedWinner(history, space, 0)).trial, history.Find(0));
  const auto refused = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(
      NamedWinner(history, space, 1),
      StatusIs(refused, AllOf(HasSubstr("trial 1 (PRUNED) cannot be applied: parameter 'name'"),
                              HasSubstr("has no value"))));
  EXPECT_THAT(NamedWinner(history, space, 2),
              StatusIs(refused, HasSubstr("trial 2 (FAIL) cannot be applied: it has no point")));
  EXPECT_THAT(NamedWinner(history, space, 3), StatusIs(refused, HasSubstr("'name' cannot be 2")));
  EXPECT_THAT(NamedWinner(history, space, 4),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("the study has no trial 4")));
}

}  // namespace
}  // namespace mase
