#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pass_runner.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

// jsc-tiny with its one layer quantized.
PassRun Average(absl::string_view config, absl::string_view options) {
  Graph graph = ParseGraph(kJscTiny);
  return RunPasses(
      {MakePass("quantize", absl::StrCat("rules { match: 'linear' config { ", config, " } }")),
       MakePass("calculate_avg_bits", options)},
      graph);
}

TEST(CalculateAvgBitsTest, AFloatNetHas32) {
  Graph graph = ParseGraph(kJscTiny);
  const PassRun run = RunPass("calculate_avg_bits", "", graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("data_avg_bit"), 32);
  EXPECT_EQ(run.result("w_avg_bit"), 32);
  EXPECT_EQ(run.table("bits"),
            "node,op,data_in,data_in elements,weight,weight elements\n"
            "seq_blocks_2,linear,32,128,32,80\n");
}

TEST(CalculateAvgBitsTest, IntegersHaveTheirWidthAndMaseAddsTheFraction) {
  const char* config = "format: 'integer 8/4'";
  EXPECT_EQ(Average(config, "").result("w_avg_bit"), 8);
  EXPECT_EQ(Average(config, "").result("data_avg_bit"), 8);
  EXPECT_EQ(Average(config, "semantics: REFERENCE").result("w_avg_bit"), 12);
}

TEST(CalculateAvgBitsTest, BinaryIsOneBitAndTernaryTwo) {
  EXPECT_EQ(Average("format: 'binary'", "").result("w_avg_bit"), 1);
  EXPECT_EQ(Average("format: 'ternary { }'", "").result("w_avg_bit"), 2);
}

TEST(CalculateAvgBitsTest, AveragesAreOverElements) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 4]
a = linear(x, in_features=4, out_features=8)
b = linear(a, in_features=8, out_features=3)
output = output(b)
)");
  const PassRun run = RunPasses(
      {MakePass("quantize", "by: NAME rules { match: 'a' config { format: 'integer 8/4' } }"),
       MakePass("calculate_avg_bits")},
      graph);
  ASSERT_OK(run.status);
  EXPECT_EQ(run.result("w_avg_bit"), (32 * 8.0 + 24 * 32.0) / 56);
  EXPECT_EQ(run.result("data_avg_bit"), (8 * 8.0 + 16 * 32.0) / 24);
}

TEST(CalculateAvgBitsTest, ANetWithoutLayersIsWarnedAbout) {
  Graph graph = ParseGraph("x = placeholder() : f32[2, 4]\na = relu(x)\noutput = output(a)\n");
  const PassRun run = RunPass("calculate_avg_bits", "", graph);
  ASSERT_OK(run.status);
  EXPECT_THAT(run.report.warnings(), ::testing::ElementsAre(HasSubstr("no linear layer")));
}

}  // namespace
}  // namespace mase
