// What must hold for every format, on random tensors of every rank.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/grid_ops.h"
#include "mase/format/stream.h"

namespace mase {
namespace {

// Blocks of five, so that they rarely divide an axis.
constexpr const char* kExactFormats[] = {
    "integer { width: 8 frac_width: 4 }",
    "integer { width: 5 frac_width: 7 is_signed: false }",
    "minifloat_denorm { width: 8 exponent_width: 4 }",
    "minifloat_ieee { width: 8 exponent_width: 4 }",
    "minifloat_ieee { width: 16 exponent_width: 8 }",
    "minifloat { exponent_width: 5 frac_width: 2 is_finite: false }",
    "log { width: 6 }",
    "log { width: 6 has_zero: false }",
    "block_fp { width: 5 block_size: 5 }",
    "block_fp { width: 5 block_size: [2, 5] skip_first_dim: false }",
    "block_fp { width: 5 exponent_width: 2 block_size: -1 }",
    "block_minifloat { width: 8 exponent_width: 3 exponent_bias_width: 5 block_size: 5 }",
    "block_log { width: 5 exponent_bias_width: 6 block_size: 5 }",
    "block_log { width: 8 exponent_bias_width: 8 block_size: 5 }",
    "block_log { width: 8 exponent_bias_width: 8 block_size: 5 has_zero: false }",
    "mxint { block_size: 5 element_bits: 6 }",
    "mxint { block_size: -1 element_bits: 6 }",
    "mxfp { block_size: 5 element_exp_bits: 4 element_frac_bits: 3 }",
    "mxfp { block_size: 100 element_exp_bits: 2 element_frac_bits: 1 }",
    "mxint_hardware { width: 7 parallelism: [2, 3] }",
    "mx { element_format: 'fp6_e3m2' block_size: 5 }",
    "mx { element_format: 'bf16' }",
    "mx { element_format: 'int4' block_size: 5 shared_exp_method: 'none' }",
    "lsq { level: 16 sym: true scale: 0.25 }",
    "affine { width: 6 scale: 0.3 zero_point: 4 }",
    "flexround { s1_init: 0.3 width: 6 }",
    "binary { bipolar: true }",
    "logicnets { width: 4 }",
};
// Scaled by statistics that change with the values: not idempotent.
constexpr const char* kStatisticalFormats[] = {
    "scale_integer { width: 6 }",
    "scale_integer { width: 6 quantile: 0.9 }",
    "binary { }",
    "ternary { }",
    "ternary { scaling_factor: true }",
    "binary_residual { levels: 3 }",
    "lutnet { k: 2 }",
    "mxint { block_size: 5 element_bits: 4 quantile_search: true }",
};

const std::vector<Shape>& Shapes() {
  static const auto* const kShapes = new std::vector<Shape>{
      {},         {1},       {17},         {0},       {3, 7},          {6, 10},
      {2, 3, 11}, {2, 0, 3}, {2, 3, 4, 5}, {1, 1, 1}, {2, 1, 3, 2, 6}, {2, 2, 1, 2, 2, 7},
      {64, 48},
  };
  return *kShapes;
}

std::vector<float> RandomValues(int64_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-8, 6), kind(0, 19);
  std::vector<float> values(count);
  for (float& v : values) {
    v = std::ldexp(normal(random), exponent(random));
    const int k = kind(random);
    if (k == 0) v = 0;
    if (k == 1) v = -0.0f;
    if (k == 2) v = std::ldexp(1.0f, exponent(random));
    if (k == 3) v = std::round(v * 8) / 16;
  }
  return values;
}

class PropertiesTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto format = Format::FromText(GetParam());
    ASSERT_TRUE(format.ok()) << format.status();
    format_ = std::move(*format);
  }
  Tensor Random(const Shape& shape) {
    return Tensor::FromValues<float>(shape, RandomValues(shape.elements(), random_));
  }
  Tensor Quantize(const Tensor& x) {
    auto y = format_->Quantize(x);
    EXPECT_TRUE(y.ok()) << y.status();
    return *y;
  }

  std::unique_ptr<const Format> format_;
  std::mt19937 random_{7};
};

using IdempotentTest = PropertiesTest;

TEST_P(IdempotentTest, WhatIsQuantizedStays) {
  for (const Shape& shape : Shapes()) {
    const Tensor y = Quantize(Random(shape));
    EXPECT_TRUE(BitEqual(Quantize(y), y)) << shape.ToString();
  }
}

INSTANTIATE_TEST_SUITE_P(Exact, IdempotentTest, testing::ValuesIn(kExactFormats));

TEST_P(PropertiesTest, DecodeOfEncodeIsQuantize) {
  for (const Shape& shape : Shapes()) {
    const Tensor x = Random(shape);
    auto encoded = format_->Encode(x);
    ASSERT_TRUE(encoded.ok()) << encoded.status();
    for (uint32_t code : encoded->codes) ASSERT_EQ(code >> format_->code_bits(), 0u);
    auto decoded = format_->Decode(*encoded);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(BitEqual(*decoded, Quantize(x))) << shape.ToString();
    EXPECT_EQ(PackCodes(encoded->codes, format_->code_bits()).size(),
              (encoded->codes.size() * format_->code_bits() + 7) / 8);
  }
}

TEST_P(PropertiesTest, ABlockOfABillionOrOfNothingIsStillFinite) {
  for (float scale : {3e38f, 1e-38f, 1e-45f}) {
    Tensor x = Random({4, 25});
    for (float& v : x.mutable_data<float>()) v = std::clamp(v, -1.0f, 1.0f) * scale;
    const Tensor y = Quantize(x);
    for (float v : y.data<float>()) ASSERT_TRUE(std::isfinite(v)) << scale;
  }
}

TEST_P(PropertiesTest, InfinitiesSaturateAndNaNStaysAlone) {
  Tensor x = Random({2, 15});
  auto values = x.mutable_data<float>();
  values[3] = INFINITY;
  values[4] = -INFINITY;
  values[20] = NAN;
  const Tensor y = Quantize(x);
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(std::isnan(y.data<float>()[i]), i == 20) << i;
    ASSERT_FALSE(std::isinf(y.data<float>()[i])) << i;
  }
}

TEST_P(PropertiesTest, BitsPerValueCountBlocks) {
  EXPECT_GE(format_->BitsPerValue({64, 48}), format_->code_bits());
  EXPECT_LE(format_->BitsPerValue({64, 48}), format_->code_bits() + 9);
  EXPECT_GE(format_->BitsPerValue({0}), format_->code_bits());
}

TEST_P(PropertiesTest, ValuesAreAscendingAndWithinTheRange) {
  const std::vector<float> values = format_->Values();
  for (size_t i = 1; i < values.size(); ++i) ASSERT_LT(values[i - 1], values[i]);
  if (!values.empty()) {
    EXPECT_FLOAT_EQ(values.front(), format_->lowest());
    EXPECT_FLOAT_EQ(values.back(), format_->highest());
  }
}

INSTANTIATE_TEST_SUITE_P(Exact, PropertiesTest, testing::ValuesIn(kExactFormats));
INSTANTIATE_TEST_SUITE_P(Statistical, PropertiesTest, testing::ValuesIn(kStatisticalFormats));

// Element-wise formats: what is true of every single value.
class ElementTest : public PropertiesTest {};

TEST_P(ElementTest, IsMonotoneAndTakesTheNearestValue) {
  const std::vector<float> values = format_->Values();
  ASSERT_FALSE(values.empty());
  std::vector<float> x = RandomValues(2000, random_);
  std::sort(x.begin(), x.end());
  std::vector<float> y(x.size());
  ASSERT_TRUE(format_->Quantize(x.data(), y.data(), {2000}).ok());
  for (size_t i = 0; i < x.size(); ++i) {
    if (i > 0) {
      ASSERT_LE(y[i - 1], y[i]);
    }
    double best = INFINITY;
    for (float v : values) best = std::min(best, std::fabs(double{v} - x[i]));
    ASSERT_EQ(std::fabs(double{y[i]} - x[i]), best) << x[i] << " became " << y[i];
  }
}

TEST_P(ElementTest, EveryCodeOfUpTo16BitsSurvivesARoundTrip) {
  EncodedTensor all;
  const int64_t count = int64_t{1} << format_->code_bits();
  all.shape = {count};
  for (int64_t code = 0; code < count; ++code) all.codes.push_back(static_cast<uint32_t>(code));
  const Tensor values = *format_->Decode(all);
  for (int64_t code = 0; code < count; ++code) {
    const float v = values.data<float>()[code];
    if (!std::isfinite(v)) continue;
    float q;
    ASSERT_TRUE(format_->Quantize(&v, &q, {}).ok());
    ASSERT_EQ(Bits(q), Bits(v)) << "code " << code;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Exact, ElementTest,
    testing::Values("integer { width: 8 frac_width: 4 }", "integer { width: 3 frac_width: -1 }",
                    "minifloat_denorm { width: 8 exponent_width: 4 }",
                    "minifloat_denorm { width: 9 exponent_width: 3 exponent_bias: 12 }",
                    "minifloat_ieee { width: 8 exponent_width: 4 }",
                    "minifloat_ieee { width: 12 exponent_width: 8 }",
                    "minifloat { exponent_width: 4 frac_width: 3 is_finite: false }",
                    "mx { element_format: 'fp8_e4m3' }", "mx { element_format: 'fp4' }",
                    "mx { element_format: 'bfloat16' }"));

// The vector operators against the definition in doubles.
TEST(GridOpsTest, EqualsTheDefinitionOnEveryExponent) {
  std::mt19937 random(3);
  std::vector<float> x(20000);
  for (float& v : x) v = FromBits(static_cast<uint32_t>(random()));
  x[0] = std::numeric_limits<float>::infinity(), x[1] = -x[0];
  x[2] = std::numeric_limits<float>::max(), x[3] = -x[2];
  const Grid grids[] = {
      Grid::TwosComplement(8, true, -4),
      Grid::TwosComplement(24, false, 100),
      Grid::TwosComplement(4, true, 126).Shifted(0),
      Grid::SignMagnitude(7, -20),
      Grid::Float(4, 3, 7).Shifted(0),
      Grid::Float(8, 7, 127).Shifted(0),
      Grid::Float(4, 0, 7).Shifted(0),
      Grid::Float(8, 1, 100).Shifted(0),
      Grid::Float(5, 2, 60, Grid::Specials::kIeee).Shifted(0),
      Grid::FloatExplicitOne(8, 7, 127).Shifted(0),
      Grid::Power(8, 63, true).Shifted(0),
      Grid::Power(9, 126, false).Shifted(0),
  };
  for (const Grid& grid : grids) {
    for (const FormatProto::Rounding rounding :
         {FormatProto::NEAREST_EVEN, FormatProto::NEAREST_AWAY, FormatProto::FLOOR,
          FormatProto::CEILING, FormatProto::TOWARD_ZERO, FormatProto::AWAY_FROM_ZERO}) {
      const Policy policy = {.rounding = rounding};
      std::vector<float> y(x.size());
      QuantizeOnGrid(grid, policy, x.data(), y.data(), x.size(), 0);
      for (size_t i = 0; i < x.size(); ++i) {
        const float want = grid.Quantize(x[i], policy);
        if (std::isnan(want)) {
          ASSERT_TRUE(std::isnan(y[i]));
        } else {
          ASSERT_EQ(Bits(y[i]), Bits(want))
              << FormatProto::Rounding_Name(rounding) << " " << x[i] << " got " << y[i];
        }
      }
    }
  }
}

// Ties, whole numbers and the ends of the range, which random bits miss.
TEST(GridOpsTest, EqualsTheDefinitionAtTies) {
  for (const Grid& grid : {Grid::TwosComplement(6, true, -2), Grid::SignMagnitude(4, 0),
                           Grid::Float(3, 2, 3).Shifted(0), Grid::Power(4, 3, true).Shifted(0)}) {
    for (const FormatProto::Rounding rounding :
         {FormatProto::NEAREST_EVEN, FormatProto::NEAREST_AWAY, FormatProto::FLOOR,
          FormatProto::CEILING, FormatProto::TOWARD_ZERO, FormatProto::AWAY_FROM_ZERO}) {
      for (int k = -400; k <= 400; ++k) {
        for (const float near : {-1e-6f, 0.0f, 1e-6f}) {
          const float x = static_cast<float>(k) / 32 + near;
          float y;
          QuantizeOnGrid(grid, {.rounding = rounding}, &x, &y, 1, 0);
          ASSERT_EQ(Bits(y), Bits(grid.Quantize(x, {.rounding = rounding})))
              << FormatProto::Rounding_Name(rounding) << " " << x << " got " << y;
        }
      }
    }
  }
}

// Blocks whose smallest powers are no normal numbers, with elements there.
TEST(BlockTest, PowersBelowTheNormalNumbersAreThoseOfTheDefinition) {
  for (const bool has_zero : {false, true}) {
    const auto format = *Format::FromText(
        absl::StrCat("block_log { width: 8 exponent_bias_width: 8 block_size: 16 has_zero: ",
                     has_zero ? "true" : "false", " }"));
    for (int top = -90; top <= 120; ++top) {
      std::vector<float> x(16), y(16);
      std::mt19937 random(static_cast<uint32_t>(top + 1000));
      for (int i = 0; i < 16; ++i) {
        const float mantissa = 1 + static_cast<float>(random() % 1024) / 1024;
        x[i] = std::ldexp((i % 2 == 0 ? 1 : -1) * mantissa, top - 9 * i);
      }
      x[15] = 0;
      ASSERT_TRUE(format->Quantize(x.data(), y.data(), {16}).ok());
      const auto decoded = format->Decode(*format->Encode(Tensor::FromValues<float>({16}, x)));
      for (int i = 0; i < 16; ++i) {
        ASSERT_EQ(Bits(y[i]), Bits(decoded->data<float>()[i])) << top << " " << x[i];
      }
    }
  }
}

TEST(StreamTest, LargeTensorsAreRoundedAsSmallOnes) {
  std::mt19937 random(5);
  std::vector<float> x(6007);
  for (float& v : x) v = std::ldexp(static_cast<float>(random() % 4096) - 2048, -9);
  x[5] = NAN;
  for (const char* text :
       {"integer { width: 8 frac_width: 4 }", "log { width: 5 }",
        "minifloat_ieee { width: 8 exponent_width: 4 } semantics: REFERENCE",
        "block_fp { width: 8 block_size: 16 }", "mxint { block_size: 32 element_bits: 4 }",
        "block_fp { width: 8 block_size: 5 }",
        "mxfp { block_size: 16 element_exp_bits: 4 element_frac_bits: 3 } rounding: FLOOR"}) {
    const auto format = *Format::FromText(text);
    for (const Shape& shape : {Shape({6007}), Shape({6, 1000}), Shape({3, 2000})}) {
      alignas(64) static float y[6007], streamed[6007];
      ASSERT_TRUE(format->Quantize(x.data(), y, shape).ok());
      SetCacheBytesForTest(0);
      ASSERT_TRUE(format->Quantize(x.data(), streamed, shape).ok());
      SetCacheBytesForTest(-1);
      EXPECT_EQ(std::memcmp(y, streamed, 4 * shape.elements()), 0) << text;
    }
  }
}

TEST(BlockTest, ABlockDependsOnItsOwnElementsAlone) {
  auto format = *Format::FromText("block_fp { width: 5 block_size: 4 }");
  std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8}, y(8), z(8);
  ASSERT_TRUE(format->Quantize(x.data(), y.data(), {8}).ok());
  x[0] = 1000;
  ASSERT_TRUE(format->Quantize(x.data(), z.data(), {8}).ok());
  EXPECT_NE(y[1], z[1]);
  for (int i = 4; i < 8; ++i) EXPECT_EQ(y[i], z[i]);
}

TEST(StochasticTest, RoundsUpWithTheProbabilityOfTheFraction) {
  auto format = *Format::FromText("integer { width: 8 frac_width: 0 } rounding: STOCHASTIC");
  const std::vector<float> x(20000, 3.25f);
  std::vector<float> y(x.size()), again(x.size()), other(x.size());
  const Shape shape = {20000};
  ASSERT_TRUE(format->Quantize(x.data(), y.data(), shape, 1).ok());
  ASSERT_TRUE(format->Quantize(x.data(), again.data(), shape, 1).ok());
  ASSERT_TRUE(format->Quantize(x.data(), other.data(), shape, 2).ok());
  EXPECT_EQ(y, again);
  EXPECT_NE(y, other);
  double sum = 0;
  for (float v : y) sum += v;
  EXPECT_NEAR(sum / 20000, 3.25, 0.015);
}

TEST(StochasticTest, BinaryIsPlusOneWithTheProbabilityOfItsValue) {
  for (const char* text : {"binary { stochastic: true bipolar: true }",
                           "binary { stochastic: true bipolar: true } semantics: REFERENCE"}) {
    auto format = *Format::FromText(text);
    const std::vector<float> x(20000, 0.5f);
    std::vector<float> y(x.size());
    ASSERT_TRUE(format->Quantize(x.data(), y.data(), {20000}, 3).ok());
    double sum = 0;
    for (float v : y) sum += v;
    EXPECT_NEAR(sum / 20000, 0.5, 0.02);
  }
}

TEST(FamiliesTest, EveryFamilyIsInTheTableWithAWorkingExample) {
  for (int i = 0; i < FormatProto::descriptor()->oneof_decl(0)->field_count(); ++i) {
    const auto& field = *FormatProto::descriptor()->oneof_decl(0)->field(i);
    if (field.number() == FormatProto::kPlugin) continue;  // Plugins' families name themselves.
    const Family* family = FindFamily(field.name());
    ASSERT_NE(family, nullptr) << field.name();
    EXPECT_EQ(static_cast<int>(family->family_case), field.number());
    auto format = Format::FromText(std::string(family->example));
    ASSERT_TRUE(format.ok()) << format.status();
    EXPECT_EQ((*format)->family(), family->name);
    EXPECT_FALSE((*format)->Describe().empty());
    (*format)->Precision();
  }
}

TEST(FamiliesTest, EveryParameterNamesAFieldOfTheSameType) {
  for (const Family* family : Families()) {
    const auto& message =
        *FormatProto::descriptor()->FindFieldByNumber(family->family_case)->message_type();
    for (const FamilyParameter& parameter : family->parameters) {
      const auto* source =
          FormatParameters::descriptor()->FindFieldByName(std::string(parameter.name));
      ASSERT_NE(source, nullptr) << family->name << " " << parameter.name;
      if (parameter.field == "-") continue;
      const auto* target = message.FindFieldByName(
          std::string(parameter.field.empty() ? parameter.name : parameter.field));
      ASSERT_NE(target, nullptr) << family->name << " " << parameter.name;
      EXPECT_EQ(source->cpp_type(), target->cpp_type()) << family->name << " " << parameter.name;
    }
  }
}

}  // namespace
}  // namespace mase
