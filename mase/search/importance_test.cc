#include "mase/search/importance.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/sampler/draws.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

TEST(ImportanceTest, IsTheShareOfWhatAParameterChanges) {
  SearchParameter depends = IntegerParameter("depends", 0, 3);
  depends.parent = 0;
  depends.parent_values = {1};
  const ParameterSpace space = ValueOrDie(ParameterSpace::Create(
      {CategoricalParameter("kind", {true, false}), depends, IntegerParameter("large", 0, 9),
       IntegerParameter("small", 0, 9), CategoricalParameter("nothing", {{}, true, false})}));
  TrialHistory history;
  for (int64_t k = 0; k < 400; ++k) {
    Draws draws(0, k);
    Point point = RandomPoint(space, draws);
    const double value = point[2] * 4 + point[3] + (point[0] == 1 ? point[1] : 0);
    history.Add({.number = k,
                 .state = TrialState::kComplete,
                 .point = std::move(point),
                 .values = {0, value}});
  }
  const std::vector<double> shares =
      ValueOrDie(ParameterImportances(space, history.trials(), 1, 0));
  double sum = 0;
  for (double share : shares) sum += share;
  EXPECT_NEAR(sum, 1, 1e-12);
  // By variances: 16 of "large" to 1 of "small".
  EXPECT_NEAR(shares[2], 16.0 / 17, 0.06);
  EXPECT_NEAR(shares[3], 1.0 / 17, 0.04);
  EXPECT_GT(shares[3], shares[1]);
  EXPECT_LT(shares[4], 0.01);
  EXPECT_EQ(ValueOrDie(ParameterImportances(space, history.trials(), 1, 0)), shares);
  EXPECT_THAT(ParameterImportances(space, history.trials(), 0, 0),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParameterImportances(space, history.trials().subspan(0, 1), 1, 0),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace mase
