#include "mase/quantize/scales.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A linear layer of 3 features whose `operand` has so many scales, in such blocks.
absl::Status Check(const std::string& operand, int scales, const std::string& block_size) {
  const std::vector<std::string> all(scales, "scale: 0.5");
  Graph graph =
      ParseGraph(absl::StrCat(R"(
x = placeholder() : f32[8, 3]
fc = linear(x, in_features=3, out_features=2, bias=False)
  quantized affine
)",
                              "  ", operand, " = affine { width: 8 ", absl::StrJoin(all, " "), " ",
                              block_size, " }\n", "output = output(fc)\n"));
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({2, 3}, {1, 2, 3, 4, 5, 6}), false);
  return CheckScales(graph);
}

TEST(CheckScalesTest, AsManyScalesAsBlocksAreRight) {
  EXPECT_OK(Check("data_in", 1, ""));
  EXPECT_OK(Check("data_in", 3, "block_size: -1 block_size: 1"));
  EXPECT_OK(Check("weight", 2, "block_size: 1 block_size: -1"));
  EXPECT_OK(Check("weight", 6, "block_size: 1 block_size: 1"));
}

TEST(CheckScalesTest, OtherNumbersNameNodeOperandAndBoth) {
  EXPECT_THAT(Check("data_in", 4, "block_size: -1 block_size: 1"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "fc (linear): data_in: affine: 4 scales, but its tensor, [1, 3] of one row, "
                       "has 3 blocks of [-1, 1]; give as many scales as there are blocks, or "
                       "another block_size"));
  EXPECT_THAT(Check("weight", 3, "block_size: 1 block_size: -1"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(StartsWith("fc (linear): weight: affine: 3 scales"),
                             HasSubstr("has 2 blocks of [1, -1]"))));
}

// Three scales are right for one row then, and for no others.
TEST(CheckScalesTest, BlocksOfInputsDoNotGoByRows) {
  for (const char* blocks : {"block_size: 1 block_size: 1", "block_size: 64 block_size: 1"}) {
    EXPECT_THAT(Check("data_in", 3, blocks),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("fc (linear): data_in: affine: 3 scales for blocks of ["),
                               HasSubstr("-1 for the first of all 2 axes"))));
  }
}

}  // namespace
}  // namespace mase
