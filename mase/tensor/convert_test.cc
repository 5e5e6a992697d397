#include "mase/tensor/convert.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

TEST(ToFloat32Test, CountsWhatItRounds) {
  int64_t rounded = -1;
  EXPECT_THAT(
      ToFloat32(Tensor::FromValues<double>({4}, {0.5, 0.1, -1e300, 0}), &rounded).data<float>(),
      ElementsAre(0.5f, 0.1f, -INFINITY, 0));
  EXPECT_EQ(rounded, 2);
  EXPECT_THAT(ToFloat32(Tensor::FromValues<int64_t>({2}, {16777217, -3}), &rounded).data<float>(),
              ElementsAre(16777216, -3));
  EXPECT_EQ(rounded, 1);
  EXPECT_TRUE(
      std::isnan(ToFloat32(Tensor::FromValues<double>({1}, {NAN}), &rounded).data<float>()[0]));
  EXPECT_EQ(rounded, 0);
}

TEST(ToFloat32Test, Float32ComesBackUntouched) {
  const Tensor tensor = Tensor::FromValues<float>({1}, {0.1f});
  EXPECT_EQ(ToFloat32(tensor).raw_data(), tensor.raw_data());
}

}  // namespace
}  // namespace mase
