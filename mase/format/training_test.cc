// Gradients of every rule, learned parameters, truth tables, and what is refused.
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/binary_residual.h"
#include "mase/format/format.h"
#include "mase/format/logicnets.h"
#include "mase/format/lsq.h"
#include "mase/format/lutnet.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::HasSubstr;

std::vector<float> Gradient(absl::string_view text, const std::vector<float>& x) {
  auto format = Format::FromText(text);
  EXPECT_TRUE(format.ok()) << format.status();
  std::vector<float> diff(x.size(), 1.0f);
  const absl::Status status =
      (*format)->Gradient(x.data(), diff.data(), diff.data(), {static_cast<int64_t>(x.size())});
  EXPECT_TRUE(status.ok()) << status;
  return diff;
}

FormatProto Proto(absl::string_view text) { return (*Format::FromText(text))->proto(); }

TEST(GradientTest, IsStraightThroughByDefault) {
  for (const char* text :
       {"minifloat_ieee { width: 8 exponent_width: 4 }", "block_fp { }", "log { width: 4 }",
        "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 }", "binary { }",
        "ternary { }", "mxfp { block_size: 2 element_exp_bits: 4 element_frac_bits: 3 }",
        "mxint_hardware { parallelism: 2 }", "flexround { }"}) {
    EXPECT_THAT(Gradient(text, {0.3, 1e9}), ElementsAre(1, 1)) << text;
  }
}

TEST(GradientTest, ClampAwareStopsWhatSaturates) {
  const auto clamped = [](absl::string_view text, const std::vector<float>& x) {
    return Gradient(absl::StrCat(text, " gradient: CLAMP_AWARE"), x);
  };
  EXPECT_THAT(clamped("minifloat_ieee { width: 8 exponent_width: 4 }", {480, 495, 497, -600}),
              ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(clamped("log { width: 4 }", {16, 22, 23, 0}), ElementsAre(1, 1, 0, 1));
  EXPECT_THAT(clamped("block_fp { width: 4 exponent_width: 2 exponent_bias: 3 }", {0.2, 5}),
              ElementsAre(1, 0));
  EXPECT_THAT(clamped("binary { bipolar: true }", {0.5, 1.5}), ElementsAre(1, 0));
  EXPECT_THAT(clamped("affine { width: 4 scale: 1 zero_point: -8 }", {15, 16, -1}),
              ElementsAre(1, 0, 0));
}

TEST(GradientTest, ClampAwareIsRefusedWhereThereIsNone) {
  for (const char* text : {"lsq { level: 256 }", "block_fp { width: 4 } semantics: REFERENCE"}) {
    const auto format = Format::FromText(absl::StrCat(text, " gradient: CLAMP_AWARE"));
    EXPECT_EQ(format.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(format.status().message()), HasSubstr("no CLAMP_AWARE rule")) << text;
  }
}

TEST(GradientTest, BinaryStochasticHalvesIt) {
  EXPECT_THAT(Gradient("binary { stochastic: true bipolar: true }", {0.5}), ElementsAre(0.5));
}

TEST(GradientTest, ReferenceOfMxIntHardwareAndFlexRoundHasNone) {
  EXPECT_THAT(Gradient("mxint_hardware { parallelism: 1 } semantics: REFERENCE", {0.5}),
              ElementsAre(0));
  EXPECT_THAT(Gradient("flexround { } semantics: REFERENCE", {0.5}), ElementsAre(0));
}

TEST(GradientTest, ResidualSignChainsItsLevels) {
  EXPECT_THAT(Gradient("binary_residual { levels: 2 }", {0.1, 1.4, -3}),
              ElementsAre(FloatNear(0.7777778f, 1e-6), FloatNear(1.f / 3, 1e-6), 0));
}

TEST(GradientTest, ResidualMeansAgreeWithDifferences) {
  // The sum of the levels is linear in the last mean, and piecewise so in the others.
  const std::vector<float> x = {0.1, 0.45, -0.7}, diff = {1, 2, 3};
  const std::vector<float> means = {0.6, 0.3};
  const std::vector<float> gradient = ResidualMeansGradient(means, false, x, diff);
  const auto loss = [&](const std::vector<float>& m) {
    std::vector<float> levels(m.size() * x.size());
    ResidualLevels(m, false, x, absl::MakeSpan(levels));
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += diff[i] * (levels[i] + levels[x.size() + i]);
    return sum;
  };
  const double h = 1e-3;
  EXPECT_NEAR(gradient[1], (loss({0.6f, 0.301f}) - loss({0.6f, 0.299f})) / (2 * h), 1e-3);
  // By the first mean the straight-through part comes on top of the difference.
  const double difference = (loss({0.601f, 0.3f}) - loss({0.599f, 0.3f})) / (2 * h);
  double chained = 0;
  for (size_t i = 0; i < x.size(); ++i) chained -= diff[i] * 0.3 * (x[i] < 0 ? -1 : 1);
  EXPECT_NEAR(gradient[0], difference + chained, 1e-3);
}

TEST(LsqTest, GradientOfTheStepIsRoundingErrorInsideAndTheEndOutside) {
  const FormatProto lsq = Proto("lsq { level: 16 scale: 0.5 }");
  EXPECT_THAT(Gradient("lsq { level: 16 scale: 0.5 }", {0.3, -0.4, 9}), ElementsAre(1, 0, 0));
  const std::vector<float> x = {0.3, -0.4, 9};
  // (1 - 0.6), 0, 15, times 1 / sqrt(15 * 3).
  EXPECT_NEAR(LsqScaleGradient(lsq, x, {1, 1, 1}), (0.4 + 0 + 15) / std::sqrt(45.0), 1e-5);
}

TEST(LsqTest, IsTheIdentityFromLevel256On) {
  auto format = *Format::FromText("lsq { level: 256 }");
  const float x = 0.1234567f;
  float y = 0;
  ASSERT_TRUE(format->Quantize(&x, &y, {}).ok());
  EXPECT_EQ(x, y);
  EXPECT_EQ(format->code_bits(), 0);
}

TEST(LogicNetsTest, TabulatesANeuron) {
  const FormatProto x = Proto("logicnets { width: 2 frac_width: 0 }");
  const FormatProto y = Proto("logicnets { width: 4 frac_width: 0 }");
  const LogicNetsNeuron neuron = *BuildLogicNetsNeuron({1, 0, -2}, 0, x, y);
  EXPECT_THAT(neuron.inputs, ElementsAre(0, 2));
  EXPECT_EQ(neuron.table.size(), 16);
  const auto at = [&](int a, int b) { return neuron.table[LogicNetsState({a, b}, 2)]; };
  EXPECT_EQ(at(1, -2), 5);
  EXPECT_EQ(at(1, 1), -1);
  EXPECT_EQ(at(-2, -2), 2);
}

TEST(LogicNetsTest, ReferenceEncodesByTheInputsFraction) {
  const FormatProto x = Proto("logicnets { width: 2 frac_width: 0 }");
  const FormatProto exact = Proto("logicnets { width: 6 frac_width: 2 }");
  const FormatProto reference = Proto("logicnets { width: 6 frac_width: 2 } semantics: REFERENCE");
  EXPECT_EQ(BuildLogicNetsNeuron({1}, 0.5, x, exact)->table[3], 6);
  EXPECT_EQ(BuildLogicNetsNeuron({1}, 0.5, x, reference)->table[3], 1);
  const auto relu = [](float v) { return std::max(v, 0.0f); };
  EXPECT_EQ(BuildLogicNetsNeuron({1}, 0.5, x, exact, relu)->table[0], 0);
}

TEST(LogicNetsTest, RefusesWhatCannotBeTabulated) {
  const FormatProto x = Proto("logicnets { width: 8 }");
  EXPECT_THAT(std::string(BuildLogicNetsNeuron({0, 0}, 0, x, x).status().message()),
              HasSubstr("without non-zero weights"));
  const std::vector<float> three(3, 1.0f), four(4, 1.0f);
  EXPECT_TRUE(BuildLogicNetsNeuron(three, 0, Proto("logicnets { width: 5 }"), x).ok());
  EXPECT_EQ(BuildLogicNetsNeuron(four, 0, x, x).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(
      std::string(BuildLogicNetsNeuron({1}, 0, Proto("log { width: 4 }"), x).status().message()),
      HasSubstr("integer formats"));
}

TEST(LutNetTest, TableColumnsAreInLexicographicOrder) {
  EXPECT_THAT(LutTruthTable(2), ElementsAre(-1, -1, 1, 1, -1, 1, -1, 1));
  EXPECT_THAT(LutBasis({1, -1}), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(LutInitialWeights(2, 2, {0.5}), ElementsAre(-2.5, -1.5, 1.5, 2.5));
}

TEST(LutNetTest, LooksUpTheWeightOfTheInputs) {
  EXPECT_FLOAT_EQ(*LutForward(2, {0.5, -0.5}, {0.5}, {1, -1, -1, 1}, true, 1, 1), -0.5f);
  EXPECT_FLOAT_EQ(*LutForward(2, {-0.5, -0.5}, {0.5}, {1, -1, -1, 1}, true, 1, 1), 0.5f);
  EXPECT_THAT(std::string(LutForward(2, {1}, {1}, {1}, true, 1, 1).status().message()),
              HasSubstr("1 inputs and 1 weights"));
  EXPECT_FALSE(LutForward(9, {}, {}, {}, true, 1, 1).ok());
}

// Family, field, value and allowed range of everything that is refused at creation.
TEST(RefusalTest, NamesFieldValueAndRange) {
  const struct {
    const char* format;
    const char* message;
  } kRows[] = {
      {"scale_integer { width: 1 }", "scale_integer: width 1, allowed 2 to 24"},
      {"scale_integer { width: 8 quantile: 2 }", "quantile 2, allowed"},
      {"minifloat_denorm { width: 8 exponent_width: 0 }", "exponent_width 0, allowed 1 to 8"},
      {"minifloat_denorm { width: 6 exponent_width: 4 }", "width 6, allowed 7 to 28"},
      {"minifloat_ieee { width: 5 exponent_width: 4 }", "width 5, allowed 6 to 28"},
      {"minifloat_ieee { width: 8 exponent_width: 4 exponent_bias: 148 }",
       "exponent_bias 148, allowed -126 to 147"},
      {"minifloat { exponent_width: 4 frac_width: 12 }", "frac_width 12, allowed 1 to 11"},
      {"minifloat { exponent_width: 1 frac_width: 2 is_finite: false }",
       "exponent_width 1, allowed 2 to 8"},
      {"minifloat { exponent_width: 4 frac_width: 3 round_mode: 'up' }", "'up', allowed rn"},
      {"log { width: 1 }", "log: width 1, allowed 2 to 9"},
      {"block_fp { width: 1 }", "width 1, allowed 2 to 24"},
      {"block_fp { block_size: 0 }", "block_size 0, allowed -1 or 1 and more"},
      {"block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 11 }",
       "exponent_bias_width 11, allowed 1 to 10"},
      {"block_log { width: 4 }", "exponent_bias_width 0, allowed 1 to 10"},
      {"ternary { threshold: -1 }", "threshold -1, allowed 0"},
      {"binary_residual { levels: 9 }", "levels 9, allowed 1 to 8"},
      {"binary_residual { levels: 4 } semantics: REFERENCE", "levels 4, allowed 1 to 3"},
      {"binary_residual { levels: 2 means: 1 }", "number of means 1, allowed 2 to 2"},
      {"integer { width: 4 learned_width: 'tensor' } rounding: FLOOR", "rounding"},
      {"integer { width: 4 frac_width: 2 learned_width: 'tensor' trained_frac_width: 3 }",
       "trained_frac_width 3, allowed 1.5 to 2.5"},
      {"integer { width: 4 learned_width: 'row' }",
       "integer: learned_width 'row', allowed tensor, channel, weight"},
      {"integer { width: 4 learned_width: 'weight' } semantics: REFERENCE", "EXACT alone"},
      {"integer { width: 28 learned_width: 'channel' }", "width 28, allowed 2 to 24"},
      {"integer { width: 8 learned_width: 'weight' most_width: 7 }", "most_width 7, allowed 8 to"},
      {"lsq { level: 1 }", "level 1, allowed 2"},
      {"lsq { level: 4 scale: 0 }", "scale 0, allowed"},
      {"flexround { s1_init: -1 }", "s1_init -1, allowed"},
      {"mxint { element_bits: 8 }", "block_size 0, allowed 1"},
      {"mxint { block_size: 4 element_bits: 1 }", "element_bits 1, allowed 2 to 24"},
      {"mxint { block_size: -1 element_bits: 8 } semantics: REFERENCE", "block_size -1, allowed 1"},
      {"mxfp { block_size: 4 element_exp_bits: 3 element_frac_bits: 3 }", "allowed 4,3 5,2"},
      {"mxfp { block_size: 4 element_exp_bits: 4 element_frac_bits: 3 scale_exp_bits: 5 }",
       "scale_exp_bits 5, allowed 8 to 8"},
      {"mxint_hardware { }", "number of entries of parallelism 0, allowed 1 to 2"},
      {"mx { element_format: 'fp8_e4m' }", "did you mean 'fp8_e4m3'?"},
      {"mx { element_format: 'int8' shared_exp_method: 'min' }", "'min', allowed max, none"},
      {"mx { element_format: 'int8' flush_fp32_subnorms: true }", "REFERENCE"},
      {"affine { width: 8 }", "number of scales 0, allowed 1"},
      {"affine { width: 8 scale: 1 zero_point: 128 }", "zero_point 128, allowed -128 to 127"},
      {"affine { width: 8 scale: [1, 2] }", "2 scales need a block_size"},
      {"affine { width: 8 scale: 1 block_size: 0 }", "block_size 0, allowed 1"},
      {"affine { width: 8 scale: 1 } semantics: REFERENCE", "MASE has no such format"},
      {"lutnet { }", "lutnet: k 0, allowed 1 to 8"},
      {"binary { } rounding: FLOOR", "binary: rounding FLOOR is not supported"},
      {"log { width: 4 } overflow: TO_INFINITY", "log: overflow TO_INFINITY"},
      {"log { width: 4 } semantics: REFERENCE nan: NAN_TO_ZERO", "nan NAN_TO_ZERO"},
  };
  for (const auto& row : kRows) {
    const absl::Status status = Format::FromText(row.format).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.format;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message)) << row.format;
  }
}

// Tensors that MASE crashes on.
TEST(RefusalTest, ReferenceRefusesTheTensorsThatMaseRefuses) {
  const struct {
    const char* format;
    Shape shape;
    const char* message;
  } kRows[] = {
      {"block_fp { }", {8}, "shape [8] with skip_first_dim true"},
      {"block_fp { skip_first_dim: false }", {2, 2, 2}, "skip_first_dim false"},
      {"block_log { width: 4 exponent_bias_width: 8 }", {2, 2, 2, 2}, "[2, 2, 2, 2]"},
      {"binary { }", {4}, "rank 4 alone"},
      {"ternary { }", {2, 2}, "rank 4 alone"},
      {"mxint { block_size: 3 element_bits: 8 }", {4}, "block_size 3 does not divide the 4"},
      {"mxint { block_size: 2 element_bits: 8 block_dim: 1 }", {4}, "block_dim 1"},
      {"mxfp { block_size: 1 element_exp_bits: 4 element_frac_bits: 3 }", {}, "scalar"},
      {"mxint_hardware { parallelism: [2, 2] }", {3, 2}, "[2, 2] do not divide"},
      {"scale_integer { width: 8 }", {}, "scalar"},
  };
  for (const auto& row : kRows) {
    auto format = Format::FromText(absl::StrCat(row.format, " semantics: REFERENCE"));
    ASSERT_TRUE(format.ok()) << format.status();
    std::vector<float> x(row.shape.elements());
    const absl::Status status = (*format)->Quantize(x.data(), x.data(), row.shape);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.format;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message)) << row.format;
  }
}

TEST(RefusalTest, AffineChecksItsBlocksAgainstTheTensor) {
  auto format = *Format::FromText("affine { width: 8 scale: [1, 2] block_size: [-1, 2] }");
  std::vector<float> x(6);
  EXPECT_TRUE(format->Quantize(x.data(), x.data(), {2, 3}).ok());
  EXPECT_THAT(std::string(format->Quantize(x.data(), x.data(), {3, 2}).message()),
              HasSubstr("2 scales for a tensor of shape [3, 2] with 1 blocks of [-1, 2]"));
}

TEST(CodesTest, AValueWithoutACodeIsNamed) {
  auto format = *Format::FromText("integer { width: 8 }");
  EXPECT_THAT(
      std::string(format->Encode(Tensor::FromValues<float>({2}, {1, NAN})).status().message()),
      HasSubstr("element 1, nan"));
  auto reference =
      *Format::FromText("minifloat_ieee { width: 8 exponent_width: 4 } semantics: REFERENCE");
  EXPECT_EQ(reference->Encode(Tensor::FromValues<float>({1}, {1e-9})).status().code(),
            absl::StatusCode::kOutOfRange);
  auto block = *Format::FromText("block_fp { } semantics: REFERENCE");
  EXPECT_EQ(block->Encode(Tensor::FromValues<float>({1, 1}, {1})).status().code(),
            absl::StatusCode::kUnimplemented);
  EncodedTensor wrong{{3}, {1, 2}, {}};
  EXPECT_THAT(std::string(format->Decode(wrong).status().message()), HasSubstr("2 codes"));
}

TEST(PrecisionTest, IsWhatHoldsPrintedAsMaseDoes) {
  const auto precision = [](absl::string_view text) {
    return (*Format::FromText(text))->Precision();
  };
  EXPECT_THAT(precision("minifloat_ieee { width: 8 exponent_width: 4 }"),
              ElementsAre("8", "4", "7"));
  EXPECT_THAT(precision("block_fp { width: 8 exponent_width: 8 block_size: [1, 16] }"),
              ElementsAre("8", "8", "127", "[1, 16]"));
  EXPECT_THAT(precision("integer { width: 8 }"), ElementsAre("8", "4"));
  EXPECT_THAT(precision("block_fp { }"), ElementsAre("12", "8", "127", "[16]"));
  EXPECT_THAT(precision("binary { width: 32 bipolar: true }"), ElementsAre("32", "False", "True"));
}

}  // namespace
}  // namespace mase
