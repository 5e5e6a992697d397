#include "mase/calibrate/rounding.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/format_text.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

Rounding Measure(const std::string& format, const std::vector<float>& values, Shape shape = {},
                 int show = 100) {
  if (shape.rank() == 0) shape = {static_cast<int64_t>(values.size())};
  return ValueOrDie(MeasureRounding({ValueOrDie(Format::FromText(format)), shape}, values, show));
}

// "-0.2500 0.1875"
std::string Quantized(const Rounding& rounding) {
  return absl::StrJoin(rounding.first, " ", [](std::string* out, const RoundedValue& value) {
    absl::StrAppendFormat(out, "%.4f", value.quantized);
  });
}

// Report 000: the first ten weights of a Linear, and what they print as at width 8, fraction 4.
const std::vector<float> kTenWeights = {-0.2631f, 0.2186f, -0.1505f, 0.0112f, -0.0510f,
                                        0.1241f,  0.0753f, 0.3352f,  0.0506f, 0.3139f};

TEST(RoundingTest, TheTenWeightsOfReport000) {
  for (const char* format : {"integer 8/4", "integer 8/4 semantics: REFERENCE"}) {
    const Rounding rounding = Measure(format, kTenWeights);
    EXPECT_EQ(Quantized(rounding),
              "-0.2500 0.1875 -0.1250 0.0000 -0.0625 0.1250 0.0625 0.3125 0.0625 0.3125");
    EXPECT_EQ(rounding.on_grid, true);
    EXPECT_EQ(rounding.first[0].code, 252u);  // -4 in two's complement.
    EXPECT_EQ(rounding.distinct, 8);
    EXPECT_EQ(rounding.zero, 0.1);
    EXPECT_EQ(rounding.saturated, 0);
    EXPECT_EQ(rounding.unchanged, 0);
    EXPECT_NEAR(rounding.error.max, 0.0311, 1e-6);
  }
}

// Report 003: two rows of a Linear(16, 32) at width 2, fraction 2, zeros with their signs.
TEST(RoundingTest, TheTwoRowsOfReport003) {
  const std::vector<float> rows = {
      0.0146f,  0.0996f, -0.0316f, 0.0403f,  0.0685f,  0.1840f,  -0.0285f, 0.0622f,
      -0.0455f, 0.0711f, 0.0172f,  0.0250f,  -0.1422f, -0.1315f, -0.5085f, -0.0726f,
      0.0727f,  0.1423f, -0.3114f, -0.0457f, 0.0154f,  0.1282f,  -0.0300f, 0.0711f,
      -0.0192f, 0.0455f, 0.2072f,  -0.1718f, -0.0718f, -0.0205f, -0.0191f, 0.3600f};
  const Rounding mase = Measure("integer 2/2 semantics: REFERENCE", rows, {2, 16});
  EXPECT_EQ(Quantized(mase),
            "0.0000 0.0000 -0.0000 0.0000 0.0000 0.2500 -0.0000 0.0000 "
            "-0.0000 0.0000 0.0000 0.0000 -0.2500 -0.2500 -0.5000 -0.0000 "
            "0.0000 0.2500 -0.2500 -0.0000 0.0000 0.2500 -0.0000 0.0000 "
            "-0.0000 0.0000 0.2500 -0.2500 -0.0000 -0.0000 -0.0000 0.2500");
  EXPECT_EQ(mase.on_grid, true);
  EXPECT_EQ(mase.distinct, 4);
  const Rounding exact = Measure("integer 2/2", rows, {2, 16});
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(exact.first[i].quantized, mase.first[i].quantized) << i;
  }
}

TEST(RoundingTest, TheRatioIsThatOfTheSumsOfSquares) {
  const Rounding rounding = Measure("integer 8/4", {1, 2, 0.03f});
  EXPECT_NEAR(rounding.error.sqnr_db, 10 * std::log10((1 + 4 + 0.0009) / 0.0009), 1e-5);
  EXPECT_TRUE(std::isinf(Measure("integer 8/4", {1, 2}).error.sqnr_db));
}

TEST(RoundingTest, LandingOnTheEndIsNotSaturating) {
  const Rounding rounding = Measure("integer 4/0", {7, 7.4f, 7.6f, -8, -8.4f, -9, 0.2f, 0});
  EXPECT_EQ(rounding.saturated, 0.25);
  EXPECT_EQ(rounding.zero, 0.25);
  EXPECT_EQ(rounding.distinct, 3);
  EXPECT_EQ(rounding.unchanged, 3);
}

TEST(RoundingTest, BlocksAreSeenInTheirShape) {
  const std::vector<float> values = {8, 1, 0.06f, 0.05f};
  EXPECT_EQ(Measure("block_fp { width: 4 block_size: 2 }", values, {2, 2}).distinct, 4);
  EXPECT_EQ(Measure("block_fp { width: 4 block_size: 4 }", values).distinct, 2);
}

TEST(RoundingTest, WhatMaseHandsOnIsOffTheGrid) {
  const Rounding rounding = Measure("minifloat_ieee 8/4 semantics: REFERENCE", {1, 0.5f, 1e-9f, 2});
  EXPECT_EQ(rounding.on_grid, false);
  EXPECT_THAT(rounding.off_grid, HasSubstr("element 2, 1e-09 after quantizing, has no code"));
  EXPECT_EQ(Measure("minifloat_ieee 8/4", {1, 0.5f, 1e-9f, 2}).on_grid, true);
  EXPECT_EQ(Measure("block_fp semantics: REFERENCE", {1, 2}, {1, 2}).on_grid, std::nullopt);
}

TEST(RoundingTest, EveryOperandOfANetWithItsOwnValues) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[2, 2]
fc = linear(x, in_features=2, out_features=2)
  quantized integer
  data_in = integer { width: 4 frac_width: 1 }
  weight = integer { width: 2 frac_width: 1 }
  data_out = integer { width: 3 frac_width: 0 }
relu = relu(fc)
  quantized integer
  data_in = integer { width: 8 frac_width: 0 is_signed: false }
output = output(relu)
)");
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({2, 2}, {0.6f, 0.1f, -0.4f, 3}), false);
  graph.SetTensor("fc.bias", Tensor::FromValues<float>({2}, {0.25f, 0}), false);
  const std::map<std::string, Tensor> samples = {
      {"x", Tensor::FromValues<float>({2, 2}, {1.2f, 2, 3, -4})}};
  std::vector<std::string> lines;
  for (const OperandRounding& o : ValueOrDie(MeasureRounding(graph, samples, 4))) {
    std::string line = absl::StrFormat("%s.%s %s:", o.node, o.tensor, FormatText(o.format));
    for (const RoundedValue& value : o.rounding.first) {
      absl::StrAppendFormat(&line, " %g->%g", value.original, value.quantized);
    }
    lines.push_back(line);
  }
  // 0.5 * 1 + 0.25 = 0.75; -0.5 * 1 + 0.5 * 2 = 0.5; 1.75; -1.5 - 2 = -3.5.
  EXPECT_THAT(lines, testing::ElementsAre(
                         "fc.data_in_0 integer 4/1: 1.2->1 2->2 3->3 -4->-4",
                         "fc.weight integer 2/1: 0.6->0.5 0.1->0 -0.4->-0.5 3->0.5",
                         "fc.data_out_0 integer 3/0: 0.75->1 0.5->0 1.75->2 -3.5->-4",
                         "relu.data_in_0 integer { width: 8 frac_width: 0 is_signed: false }: "
                         "1->1 0->0 2->2 -4->0"));
  EXPECT_EQ(ValueOrDie(MeasureRounding(graph, {}, 0)).size(), 1);
}

}  // namespace
}  // namespace mase
