// Values worked out by hand: small enough to check with a pencil.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/format.h"

namespace mase {
namespace {

constexpr float kNan = NAN, kInf = INFINITY;

struct Row {
  const char* format;
  Shape shape;
  std::vector<float> x, y;
};

void Check(const std::vector<Row>& rows, const char* semantics) {
  for (const Row& row : rows) {
    const std::string text = absl::StrCat(row.format, " ", semantics);
    SCOPED_TRACE(text);
    auto format = Format::FromText(text);
    ASSERT_TRUE(format.ok()) << format.status();
    std::vector<float> y(row.x.size());
    ASSERT_EQ(row.shape.elements(), static_cast<int64_t>(row.x.size()));
    ASSERT_TRUE((*format)->Quantize(row.x.data(), y.data(), row.shape).ok());
    EXPECT_THAT(y, testing::Pointwise(testing::NanSensitiveFloatEq(), row.y));
  }
}

const std::vector<float> kA = {0.3, -1.2, 0.05, 0.7};
const std::vector<float> kB = {1.97, 0.97, 0.2, 0.001};
const std::vector<float> kC = {7, 3.6, 1.8, 0.9};

TEST(WorkedValuesTest, Reference) {
  Check(
      {
          {"integer { width: 8 frac_width: 4 }",
           {10},
           {-0.2631, 0.2186, -0.1505, 0.0112, -0.0510, 0.1241, 0.0753, 0.3352, 0.0506, 0.3139},
           {-0.25, 0.1875, -0.125, 0, -0.0625, 0.125, 0.0625, 0.3125, 0.0625, 0.3125}},
          {"scale_integer { width: 4 }", {4}, {1, -0.5, 0.25, 0.1}, {0.875, -0.5, 0.25, 0.125}},
          {"scale_integer { width: 8 }",
           {4},
           {1, -0.5, 0.25, 0.1},
           {0.9921875, -0.5, 0.25, 0.1015625}},
          {"scale_integer { width: 4 is_signed: false }",
           {4},
           {1, -0.5, 0.25, 0.1},
           {0.9375, 0, 0.25, 0.125}},
          {"minifloat_denorm { width: 8 exponent_width: 4 }",
           {13},
           {0.1, 0.3, -2.7, 500, 0.001, 3e-4, 0, 1e-9, 1, 0.97, 256, kInf, kNan},
           {0.09375, 0.3125, -2.5, 224, 0.0009765625, 0, 0, 1e-9, 0.875, 0.875, 224, kNan, kNan}},
          {"minifloat_ieee { width: 8 exponent_width: 4 }",
           {13},
           {0.1, 1, 0.3, -2.7, 500, 0.001, 3e-4, 240, 481, 248, 1.97, 0.97, -kInf},
           {0.1015625, 1, 0.3125, -2.75, 480, 0.001953125, 0, 240, 480, 240, 1.875, 0.9375, kNan}},
          {"log { width: 8 }",
           {7},
           {1.5, 1.4, 3, -0.3, 0.001, 100, 0},
           {2, 1, 4, -0.25, 0.0009765625, 128, 1.0842022e-19}},
          {"log { width: 4 }", {5}, {1.5, -0.3, 0, 0.001, 100}, {2, -0.25, 0.125, 0.125, 16}},
          {"block_fp { width: 4 exponent_width: 8 block_size: 4 }",
           {1, 2, 4},
           {8, 1, 1, 1, 0.06, 0.05, 0.04, 0.03},
           {7, 1, 1, 1, 0, 0, 0, 0}},
          {"block_fp { width: 4 exponent_width: 8 block_size: [1, 4] }",
           {1, 2, 4},
           {8, 1, 1, 1, 0.06, 0.05, 0.04, 0.03},
           {7, 1, 1, 1, 0.0546875, 0.046875, 0.0390625, 0.03125}},
          {"block_fp { width: 4 block_size: [1, 4] skip_first_dim: false }",
           {1, 4},
           {1, 0.5, 0.25, -1},
           {0.875, 0.5, 0.25, -0.875}},
          {"block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: [1, 4] "
           "}",
           {1, 8},
           {0.3, -1.2, 3.05, 0, 0.6, -0.61, 12.9, 0.001},
           {0.25, -1.25, 3, 0, 0.625, -0.625, 13, 0}},
          {"block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: [1, 4] "
           "}",
           {1, 4},
           {0.3, -0.2, 0.05, 0.01},
           {0.25, -0.25, 0, 0}},
          {"block_log { width: 4 exponent_bias_width: 8 block_size: [1, 4] }",
           {1, 8},
           {0.3, -1.2, 3.05, 0, 0.6, -0.61, 12.9, 0.001},
           {0.25, -1, 4, 0.03125, 0.5, -0.5, 16, 0.125}},
          {"block_log { width: 4 exponent_bias_width: 8 block_size: [1, 2] }",
           {1, 2},
           {0, 0},
           {0.0078125, 0.0078125}},
          {"binary { bipolar: true }", {1, 1, 2, 2}, {0.5, -0.2, 0, -1.3}, {1, -1, 1, -1}},
          {"binary { }", {1, 1, 2, 2}, {0.5, -0.2, 0, -1.3}, {0.5, 0, 0, 0}},
          {"ternary { }", {1, 1, 2, 2}, {0.5, -0.2, 0.1, -1.2}, {1, 0, 0, -1}},
          {"ternary { scaling_factor: true }",
           {1, 1, 2, 2},
           {0.5, -0.2, 0.1, -1.2},
           {0.85, 0, 0, -0.85}},
          {"ternary { scaling_factor: true }", {1, 1, 1, 2}, {0, 0}, {kNan, kNan}},
          {"binary_residual { levels: 2 }", {4}, {0.5, -0.2, 0, 1.4}, {1.f / 3, -1.f / 3, 0, 1}},
          {"binary_residual { levels: 3 }", {4}, {0.5, -0.2, 0, 1.4}, {0.5, -1.f / 3, 0, 1}},
          {"lsq { level: 16 scale: 0.5 }", {4}, {0.3, -0.4, 0.25, 9}, {0.5, 0, 0.5, 7.5}},
          {"lsq { level: 16 sym: true scale: 0.5 }",
           {5},
           {0.3, -0.4, -0.25, 9, -9},
           {0.5, -0.5, 0, 3.5, -4}},
          {"lsq { level: 2 sym: true }", {1}, {0.3}, {kNan}},
          {"flexround { }", {5}, {0.3, 0.6, -0.5, -0.51, 1.5}, {0, 1, 0, -1, 2}},
          {"flexround { s1_init: 0.25 }",
           {5},
           {0.3, 0.6, -0.5, -0.51, 1.5},
           {0.25, 0.5, -0.5, -0.5, 1.5}},
          {"mxint_hardware { width: 9 exponent_width: 4 parallelism: 4 }",
           {4},
           kA,
           {0.296875, -1.203125, 0.046875, 0.6953125}},
          {"mxint_hardware { width: 8 exponent_width: 4 parallelism: 4 }",
           {4},
           kA,
           {0.296875, -1, 0.046875, 0.6953125}},
          {"mxint { block_size: 4 element_bits: 8 }",
           {8},
           {0.3, -1.2, 0.05, 0, 1, 0.5, -1, 0.26},
           {0.296875, -1.203125, 0.046875, 0, 0.9921875, 0.5, -1, 0.2578125}},
          {"minifloat { exponent_width: 4 frac_width: 3 }",
           {7},
           {300, 480, 3.9, 1.97, 500, 0.0156, 0.004},
           {288, 480, 4, 1, 256, 0.0078125, 0}},
          {"minifloat { exponent_width: 4 frac_width: 3 round_mode: 'rz' }",
           {2},
           {1.97, 500},
           {1.875, 480}},
          {"mxfp { block_size: 4 element_exp_bits: 4 element_frac_bits: 3 }",
           {4},
           kA,
           {0.3125, -1.25, 0.05078125, 0.6875}},
          {"mxfp { block_size: 4 element_exp_bits: 2 element_frac_bits: 3 }",
           {4},
           kA,
           {0.3125, -1.25, 0, 0.6875}},
          {"mxfp { block_size: 4 element_exp_bits: 4 element_frac_bits: 3 }",
           {4},
           kB,
           {1, 1, 0.203125, 0.0009765625}},
          {"mxfp { block_size: 4 element_exp_bits: 2 element_frac_bits: 1 }",
           {4},
           kC,
           {4, 4, 1, 0.5}},
          {"mxfp { block_size: 4 element_exp_bits: 4 element_frac_bits: 3 }",
           {8},
           {1, kInf, 2, -kInf, 0.5, 0.25, 1, 1},
           {kNan, kInf, kNan, kInf, 0.5, 0.25, 1, 1}},
          {"mx { element_format: 'int8' block_size: 4 }", {4}, kC, {7, 3.625, 1.8125, 0.875}},
          {"mx { element_format: 'int8' block_size: 4 } rounding: TOWARD_ZERO",
           {4},
           kB,
           {1.96875, 0.96875, 0.1875, 0}},
          {"mx { element_format: 'fp8_e4m3' block_size: 4 }",
           {4},
           kB,
           {1.75, 1, 0.203125, 0.0009765625}},
          {"mx { element_format: 'fp4' block_size: 4 }", {4}, kC, {6, 4, 2, 1}},
          {"mx { element_format: 'bf16' }", {2}, {1.00390625, 1.01171875}, {1.0078125, 1.015625}},
          {"mx { element_format: 'bf16' } rounding: NEAREST_EVEN",
           {2},
           {1.00390625, 1.01171875},
           {1, 1.015625}},
          {"mx { element_format: 'fp16' }", {2}, {1.00048828125, 65520}, {1.0009765625, kInf}},
      },
      "semantics: REFERENCE");
}

TEST(WorkedValuesTest, ExactMendsTheDefects) {
  Check(
      {
          {"scale_integer { width: 4 }", {4}, {1.75, -0.5, 0.25, 0.1}, {1.75, -0.5, 0.25, 0}},
          {"minifloat_denorm { width: 8 exponent_width: 4 }",
           {6},
           {1, 0.97, 256, 1e-9, kInf, kNan},
           {1, 1, 224, 0, 224, kNan}},
          {"minifloat_ieee { width: 8 exponent_width: 4 }",
           {6},
           {248, 1.97, 0.97, 1e-9, kInf, -kInf},
           {256, 2, 1, 0, 480, -480}},
          {"log { width: 4 }", {5}, {1.5, 0, 0.13, 0.125, 100}, {2, 0, 0.25, 0, 16}},
          {"log { width: 4 has_zero: false }", {3}, {0, 0.13, 100}, {0.125, 0.125, 16}},
          {"block_fp { width: 4 block_size: 4 }",
           {1, 2, 4},
           {8, 1, 1, 1, 0.06, 0.05, 0.04, 0.03},
           {8, 0, 0, 0, 0.0625, 0.046875, 0.046875, 0.03125}},
          {"block_fp { width: 4 block_size: 4 }", {4}, {1, 0.5, 0.25, -1}, {1, 0.5, 0.25, -1}},
          {"block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 4 }",
           {4},
           {0.3, -0.2, 0.05, 0.01},
           {0.3125, -0.203125, 0.05078125, 0.009765625}},
          {"block_log { width: 4 exponent_bias_width: 8 block_size: 2 }", {2}, {0, 12.9}, {0, 16}},
          {"binary { }", {2, 2}, {0.5, -0.5, 2, 0}, {0.5, 0, 1, 0}},
          {"ternary { scaling_factor: true threshold: 0.3 }",
           {4},
           {0.5, -0.2, 0.1, -1.5},
           {1, 0, 0, -1}},
          {"ternary { scaling_factor: true }", {2}, {0, 0}, {0, 0}},
          {"binary_residual { levels: 2 }", {1}, {0}, {1.f / 3}},
          {"lsq { level: 5 sym: true scale: 0.5 }", {3}, {9, -9, 0.25}, {1, -1, 0}},
          {"flexround { frac_width: 2 width: 4 }", {3}, {0.3, 9, -9}, {0.25, 1.75, -2}},
          {"mxint_hardware { width: 12 exponent_width: 6 parallelism: [1, 4] }",
           {1, 4},
           {0.3, -1.2, 0.05, 0.7},
           {0.2998046875, -1.2001953125, 0.0498046875, 0.7001953125}},
          {"mxint { block_size: 4 element_bits: 4 }", {4}, {1, 0.5, -1, 0.26}, {1, 0.5, -1, 0.25}},
          {"minifloat { exponent_width: 4 frac_width: 3 }",
           {6},
           {1.97, 500, 0.0078125, 0.0156, 0.004, kInf},
           {2, 480, 0.0078125, 0.015625, 0.00390625, 480}},
          {"mxfp { block_size: 4 element_exp_bits: 2 element_frac_bits: 3 }",
           {4},
           kA,
           {0.3125, -1.25, 0.0625, 0.6875}},
          {"mxfp { block_size: 4 element_exp_bits: 2 element_frac_bits: 1 }",
           {4},
           kC,
           {6, 4, 2, 1}},
          {"mxfp { block_size: 1 element_exp_bits: 4 element_frac_bits: 3 }", {1}, {500}, {448}},
          {"mxfp { block_size: 1 element_exp_bits: 4 element_frac_bits: 3 elements: ALL_FINITE }",
           {1},
           {500},
           {480}},
          {"mx { element_format: 'bf16' }", {1}, {1.00390625}, {1}},
          {"mx { element_format: 'fp16' } overflow: TO_INFINITY",
           {2},
           {65519, 65520},
           {65504, kInf}},
          {"affine { width: 8 is_signed: false scale: 0.5 zero_point: 10 }",
           {4},
           {0.3, -9, 1000, kNan},
           {0.5, -5, 122.5, kNan}},
          {"affine { width: 4 scale: [1, 0.25] block_size: [-1, 1] }",
           {2, 2},
           {1.4, 1.4, 100, 100},
           {1, 1.5, 7, 1.75}},
          {"logicnets { width: 4 frac_width: 2 }", {2}, {0.3, 9}, {0.25, 1.75}},
          {"lutnet { k: 2 }", {1}, {0.5}, {1.f / 3}},
      },
      "");
}

// The fast path in float32 against the definition in double, tie by tie.
TEST(AffineTest, EqualsTheDefinitionAlsoNextToTies) {
  for (const float scale : {0.05f, 0.25f, 3.0f, 1e-3f, 0.7853982f, 2e-38f, 1e-30f, 1e30f}) {
    for (const char* rest : {"width: 8", "width: 8 zero_point: -128", "width: 4 zero_point: 3",
                             "width: 24", "width: 12 is_signed: false zero_point: 2048"}) {
      const auto format =
          *Format::FromText(absl::StrCat("affine { scale: ", scale, " ", rest, " }"));
      const AffineFormat& affine = format->proto().affine();
      const double zero_point = affine.zero_point().empty() ? 0 : affine.zero_point(0);
      const double lo = !affine.is_signed() ? 0 : -std::ldexp(1.0, affine.width() - 1);
      const double hi = lo + std::ldexp(1.0, affine.width()) - 1;
      std::vector<float> x;
      for (double k = -5000; k <= 5000; k += k > -300 && k < 300 ? 1 : 57) {
        const float tie = static_cast<float>((k + 0.5) * affine.scale(0));
        x.insert(x.end(),
                 {tie, std::nextafterf(tie, 1e38f), std::nextafterf(tie, -1e38f), tie * 1.3f});
      }
      std::vector<float> together(x.size());
      ASSERT_TRUE(
          format->Quantize(x.data(), together.data(), {static_cast<int64_t>(x.size())}).ok());
      for (size_t i = 0; i < x.size(); ++i) {
        const double code = std::nearbyint(x[i] / double{affine.scale(0)}) + zero_point;
        const double clamped = std::min(std::max(code, lo), hi);
        const float want = static_cast<float>((clamped - zero_point) * affine.scale(0));
        float alone;
        ASSERT_TRUE(format->Quantize(&x[i], &alone, {1}).ok());
        ASSERT_EQ(alone, want) << format->Describe() << ": " << x[i];
        ASSERT_EQ(together[i], want) << format->Describe() << ": " << x[i];
      }
    }
  }
}

}  // namespace
}  // namespace mase
