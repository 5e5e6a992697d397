#include "mase/base/flush_subnormals.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

// Half of the smallest normal number, on each of four threads.
std::vector<float> Halves() {
  std::vector<float> halves(4, -1);
  volatile float smallest = std::numeric_limits<float>::min();
#pragma omp parallel for num_threads(4) schedule(static, 1)
  for (int i = 0; i < 4; ++i) halves[i] = smallest * 0.5f;
  return halves;
}

TEST(FlushSubnormalsTest, HoldsOnAllThreadsWhileItLives) {
  EXPECT_THAT(Halves(), ::testing::Each(::testing::Gt(0)));
  {
    FlushSubnormalsEverywhere flush;
    EXPECT_THAT(Halves(), ::testing::Each(0));
  }
  EXPECT_THAT(Halves(), ::testing::Each(::testing::Gt(0)));
}

TEST(FlushSubnormalsTest, HoldsOnItsThreadAlone) {
  volatile float smallest = std::numeric_limits<float>::min();
  {
    FlushSubnormals flush;
    EXPECT_EQ(smallest * 0.5f, 0);
  }
  EXPECT_GT(smallest * 0.5f, 0);
}

}  // namespace
}  // namespace mase
