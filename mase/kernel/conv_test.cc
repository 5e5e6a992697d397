// Convolutions of every kind and by every kernel that there is for them.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/kernel/kernel.h"
#include "mase/kernel/kernel_check.h"

namespace mase {
namespace {

Attributes ConvTranspose(int64_t in, int64_t out, Ints kernel, Ints stride, Ints padding,
                         Ints dilation = {1, 1}, Ints output_padding = {0, 0}, int64_t groups = 1,
                         bool bias = true) {
  return {{"in_channels", in},
          {"out_channels", out},
          {"kernel_size", kernel},
          {"stride", stride},
          {"padding", padding},
          {"dilation", dilation},
          {"output_padding", output_padding},
          {"groups", groups},
          {"bias", bias}};
}

TEST(ConvTest, Transposed) {
  CheckAll({
      {"convtranspose2d", {{2, 3, 4, 5}}, ConvTranspose(3, 4, {3, 3}, {1, 1}, {0, 0})},
      {"convtranspose2d", {{2, 3, 4, 5}}, ConvTranspose(3, 4, {3, 2}, {2, 3}, {1, 0})},
      {"convtranspose2d",
       {{1, 4, 3, 3}},
       ConvTranspose(4, 6, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2)},
      {"convtranspose2d",
       {{3, 2, 3, 2}},
       ConvTranspose(2, 1, {2, 2}, {1, 1}, {1, 0}, {3, 2}, {0, 1}, 1, false)},
      {"convtranspose2d", {{2, 1, 1, 1}}, ConvTranspose(1, 1, {1, 1}, {1, 1}, {0, 0})},
      {"convtranspose2d", {{0, 2, 3, 3}}, ConvTranspose(2, 2, {2, 2}, {2, 2}, {0, 0})},
  });
}

TEST(ConvTest, ChannelsGroupsStridesAndPadding) {
  CheckAll({
      {"conv1d", {{2, 3, 7}}, Conv(3, 5, {3}, {1}, {1}, {1})},
      {"conv1d", {{1, 16, 9}}, Conv(16, 32, {3}, {2}, {0}, {2}, 1, false)},
      {"conv1d", {{0, 2, 4}}, Conv(2, 2, {2}, {1}, {0}, {1})},
      {"conv2d", {{2, 3, 6, 5}}, Conv(3, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 1, 8, 8}}, Conv(1, 16, {5, 5}, {2, 2}, {2, 2}, {1, 1})},
      {"conv2d", {{2, 16, 5, 5}}, Conv(16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{2, 32, 4, 6}}, Conv(32, 16, {1, 1}, {2, 2}, {0, 0}, {1, 1})},
      {"conv2d", {{2, 16, 5, 5}}, Conv(16, 7, {3, 2}, {1, 2}, {1, 0}, {1, 1})},
      {"conv2d", {{2, 5, 7, 6}}, Conv(5, 3, {2, 3}, {2, 1}, {0, 2}, {2, 1})},
      {"conv2d", {{1, 3, 9, 9}}, Conv(3, 8, {1, 1}, {4, 4}, {0, 0}, {1, 1})},  // stride > kernel
      {"conv2d", {{2, 6, 5, 5}}, Conv(6, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2)},
      {"conv2d", {{2, 16, 5, 5}}, Conv(16, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 16)},
      {"conv2d", {{1, 5, 5, 5}}, Conv(5, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 5, false)},
      {"conv2d", {{2, 32, 4, 4}}, Conv(32, 32, {3, 3}, {1, 1}, {2, 2}, {2, 2}, 2)},
      {"conv2d", {{0, 3, 4, 4}}, Conv(3, 2, {3, 3}, {1, 1}, {0, 0}, {1, 1})},
      {"conv2d", {{9, 16, 3, 3}}, Conv(16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{37, 3, 4, 4}}, Conv(3, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},  // Uneven parts.
      {"conv2d", {{9, 4, 6, 5}}, Conv(4, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{9, 4, 6, 5}}, Conv(4, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{9, 20, 5, 5}}, Conv(20, 24, {3, 3}, {2, 2}, {1, 1}, {1, 1})},
      {"conv2d", {{9, 16, 5, 5}}, Conv(16, 20, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv1d", {{9, 6, 33}}, Conv(6, 40, {3}, {1}, {1}, {1})},
  });
}

// Neither the numbers of channels nor which gradient is wanted lead to oneDNN's reference kernels,
// which take up to 400 times as long as those that it generates.
TEST(ConvTest, AnyChannelsHaveGeneratedKernels) {
  if (ChannelBlock() != 16) return;  // What oneDNN has for other machines is its own matter.
  for (const int64_t in : {1, 3, 4, 8, 16, 20}) {
    for (const int64_t out : {4, 8, 10, 16, 20, 32}) {
      const KernelCase c = {
          "conv2d", {{10, in, 14, 14}}, Conv(in, out, {3, 3}, {1, 1}, {1, 1}, {1, 1})};
      const Problem problem = MakeProblem(c);
      EXPECT_THAT(Harness<float>(problem, true, Layout::kPlain).implementation(),
                  ::testing::AllOf(::testing::StartsWith("oneDNN "), ::testing::HasSubstr(", "),
                                   ::testing::Not(::testing::HasSubstr("ref")),
                                   ::testing::Not(::testing::HasSubstr("gemm"))))
          << c.Name();
    }
  }
}

TEST(ConvTest, OfBfloat16) {
  const std::vector<KernelCase> cases = {
      {"conv1d", {{2, 3, 7}}, Conv(3, 5, {3}, {1}, {1}, {1})},
      {"conv2d", {{3, 16, 5, 5}}, Conv(16, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 2)},
      {"conv2d", {{2, 32, 6, 6}}, Conv(32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{32, 32, 8, 8}}, Conv(32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{3, 32, 2, 2}}, Conv(32, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
  };
  for (const KernelCase& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/true);
  }
}

TEST(ConvTest, ByWinograd) {
  const std::vector<KernelCase> cases = {
      {"conv2d", {{33, 32, 8, 8}}, Conv(32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{9, 32, 14, 13}}, Conv(32, 48, {3, 3}, {1, 1}, {1, 0}, {1, 1}, 1, false)},
      {"conv2d", {{65, 64, 4, 7}}, Conv(64, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
  };
  for (const KernelCase& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/false);
  }
}

// oneDNN may want weights in another order for 21 samples than for 22, which leads to direct sums.
// Where a batch comes out even its parts are of one size, so that it does not.
TEST(ConvTest, WinogradStaysWhereABatchIsCutEvenly) {
  if (ChannelBlock() != 16) return;  // It wants AVX-512.
  for (const int64_t batch : {16, 32, 48, 64, 96, 100, 128}) {
    for (const int64_t channels : {128, 256, 512}) {
      const KernelCase c = {"conv2d",
                            {{batch, channels, 16, 16}},
                            Conv(channels, channels, {3, 3}, {1, 1}, {1, 1}, {1, 1})};
      const Problem problem = MakeProblem(c);
      EXPECT_THAT(Harness<float>(problem, false, Layout::kBlocked).implementation(),
                  ::testing::HasSubstr("wino"))
          << c.Name();
    }
  }
}

// Channels in whole and in half blocks, taps of which some are padding for all, rows in several
// chunks, and a last tile of each size.
TEST(ConvTest, InTiles) {
  const KernelCase cases[] = {
      {"conv2d", {{1, 16, 1, 1}}, Conv(16, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 32, 2, 2}}, Conv(32, 80, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{1, 48, 7, 7}}, Conv(48, 128, {3, 3}, {2, 2}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 16, 11, 13}}, Conv(16, 16, {5, 3}, {1, 1}, {0, 2}, {2, 1})},
      {"conv2d", {{3, 128, 9, 9}}, Conv(128, 144, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{1, 32, 1, 1}}, Conv(32, 32, {1, 1}, {1, 1}, {3, 3}, {1, 1})},
      {"conv1d", {{5, 16, 9}}, Conv(16, 112, {3}, {2}, {1}, {1})},
  };
  for (const KernelCase& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckForward(c);
  }
}

// So few positions that each result depends on nearly every one.
TEST(ConvTest, OfFewPositions) {
  const std::vector<KernelCase> cases = {
      {"conv2d", {{5, 32, 1, 1}}, Conv(32, 48, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{3, 16, 1, 1}}, Conv(16, 16, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1, false)},
      {"conv2d", {{4, 16, 2, 2}}, Conv(16, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{4, 32, 2, 2}}, Conv(32, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1, false)},
      {"conv2d", {{2, 16, 2, 1}}, Conv(16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1})},
      {"conv2d", {{2, 16, 2, 3}}, Conv(16, 16, {2, 2}, {1, 1}, {0, 0}, {1, 1})},
      {"conv1d", {{3, 16, 3}}, Conv(16, 16, {3}, {1}, {1}, {1})},
  };
  for (const KernelCase& c : cases) {
    SCOPED_TRACE(c.Name());
    CheckProduct(c, /*bfloat16=*/false);
  }
}

}  // namespace
}  // namespace mase
