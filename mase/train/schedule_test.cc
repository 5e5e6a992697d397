#include "mase/train/schedule.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

// Six digits, as the tables give them.
MATCHER(IsRate, "") { return std::abs(std::get<0>(arg) / std::get<1>(arg) - 1) < 5e-6; }

std::vector<double> Rates(double initial, double floor, int64_t period) {
  std::vector<double> rates;
  for (int64_t e = 0; e < period; ++e)
    rates.push_back(CosineSchedule{initial, floor, period}.Rate(e));
  return rates;
}

TEST(CosineScheduleTest, FollowsPyTorchsTable) {
  EXPECT_THAT(
      Rates(1e-3, 1e-6, 10),
      ::testing::Pointwise(IsRate(), {1e-3, 9.75553e-4, 9.04604e-4, 7.94099e-4, 6.54854e-4,
                                      5.005e-4, 3.46146e-4, 2.06901e-4, 9.6396e-5, 2.54473e-5}));
  EXPECT_THAT(
      Rates(1e-5, 1e-6, 10),
      ::testing::Pointwise(IsRate(), {1e-5, 9.77975e-6, 9.14058e-6, 8.14503e-6, 6.89058e-6, 5.5e-6,
                                      4.10942e-6, 2.85497e-6, 1.85942e-6, 1.22025e-6}));
}

TEST(CosineScheduleTest, ARateAtTheFloorStaysAndOneBelowItRises) {
  EXPECT_THAT(Rates(1e-6, 1e-6, 10), ::testing::Each(1e-6));
  EXPECT_THAT(
      Rates(1e-7, 1e-6, 10),
      ::testing::Pointwise(IsRate(), {1e-7, 1.22025e-7, 1.85942e-7, 2.85497e-7, 4.10942e-7, 5.5e-7,
                                      6.89058e-7, 8.14503e-7, 9.14058e-7, 9.77975e-7}));
}

TEST(CosineScheduleTest, AFloorOfZeroIsSgds) {
  EXPECT_THAT(Rates(1e-2, 0, 3), ::testing::Pointwise(IsRate(), {0.01, 0.0075, 0.0025}));
}

}  // namespace
}  // namespace mase
