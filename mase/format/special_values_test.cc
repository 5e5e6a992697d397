// The ends of formats, and what lies beyond: every sentence of "Special values" in docs/formats.md,
// and the corners in which REFERENCE is MASE. Bits are compared.
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/format.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint32_t kNanBits = 0x7FC00000, kMinusZero = 0x80000000;

std::vector<uint32_t> BitsOf(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (float x : values) bits.push_back(std::isnan(x) ? kNanBits : std::bit_cast<uint32_t>(x));
  return bits;
}

std::vector<float> Quantize(absl::string_view text, const std::vector<float>& x,
                            Shape shape = Shape()) {
  if (shape.rank() == 0) shape = {static_cast<int64_t>(x.size())};
  const auto format = Format::FromText(text);
  EXPECT_TRUE(format.ok()) << format.status();
  std::vector<float> y(x.size());
  if (!format.ok()) return y;
  EXPECT_TRUE((*format)->Quantize(x.data(), y.data(), shape).ok());
  return y;
}

std::vector<uint32_t> QuantizedBits(absl::string_view text, const std::vector<float>& x,
                                    const Shape& shape = Shape()) {
  return BitsOf(Quantize(text, x, shape));
}

std::string Error(absl::string_view text) {
  return std::string(Format::FromText(text).status().message());
}

float Subnormal(uint32_t bits) { return std::bit_cast<float>(bits); }

TEST(SpecialValuesTest, InfinitiesSaturateAndInABlockCountAsTheLargestFloat) {
  EXPECT_THAT(Quantize("integer { width: 8 frac_width: 4 }", {kInf, -kInf}),
              ElementsAre(7.9375f, -8));
  EXPECT_THAT(Quantize("log { width: 4 }", {kInf, -kInf}), ElementsAre(16, -16));
  // The rest of the block is as far below it as it is below the largest float32.
  EXPECT_THAT(QuantizedBits("block_fp { width: 8 block_size: 4 }", {kInf, 1, -0.0f, 1e38f}),
              ElementsAre(0x7F7E0000, 0, kMinusZero, 0x7E980000));
}

TEST(SpecialValuesTest, NaNsStayAloneAndCountForNothing) {
  EXPECT_THAT(QuantizedBits("block_fp { width: 8 block_size: 4 }", {kNan, 1, 0.5f, 0.25f}),
              ElementsAre(kNanBits, 0x3F800000, 0x3F000000, 0x3E800000));
  EXPECT_THAT(QuantizedBits("mxint { block_size: 2 element_bits: 8 }", {kNan, kNan}),
              ElementsAre(kNanBits, kNanBits));
}

TEST(SpecialValuesTest, BlocksOfZerosStayZeroAndLeaveOthersAlone) {
  for (const char* format :
       {"block_fp { width: 4 block_size: 2 }",
        "mxfp { block_size: 2 element_exp_bits: 4 "
        "element_frac_bits: 3 }",
        "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 8 block_size: 2 }"}) {
    EXPECT_THAT(QuantizedBits(format, {0, -0.0f, 1, 0.5f}),
                ElementsAre(0, kMinusZero, 0x3F800000, 0x3F000000))
        << format;
  }
  // Its shared code is that of a block whose maximum is 1.
  const auto format = *Format::FromText("block_fp { width: 4 block_size: 2 }");
  const EncodedTensor zeros = *format->Encode(Tensor::FromValues<float>({2}, {0, 0}));
  const EncodedTensor ones = *format->Encode(Tensor::FromValues<float>({2}, {1, 0}));
  EXPECT_EQ(zeros.block_codes, ones.block_codes);
}

// Half of the smallest power and what is below it becomes 0, whatever the rounding; what is above
// becomes at least the smallest power.
TEST(SpecialValuesTest, LogsBoundaryToZeroIsHalfOfTheSmallestPower) {
  const float above = std::nextafterf(0.125f, 1);
  for (const char* rounding : {"NEAREST_EVEN", "CEILING", "TOWARD_ZERO", "FLOOR"}) {
    EXPECT_THAT(QuantizedBits(absl::StrCat("log { width: 4 } rounding: ", rounding),
                              {0.125f, above, -0.125f, -above}),
                ElementsAre(0, 0x3E800000, kMinusZero, 0xBE800000))
        << rounding;
  }
  EXPECT_THAT(Quantize("log { width: 4 has_zero: false }", {0, -0.0f, 1e-9f}),
              ElementsAre(0.125f, 0.125f, 0.125f));
}

// A shared bias has exponent_bias_width bits: blocks above the range that 0 gives saturate, blocks
// below that of the largest bias underflow to its subnormals.
TEST(SpecialValuesTest, SharedBiasesAreClampedToTheirBits) {
  const char* minifloat =
      "block_minifloat { width: 8 exponent_width: 4 exponent_bias_width: 2 block_size: 2 }";
  EXPECT_THAT(Quantize(minifloat, {1e6f, 3}), ElementsAre(61440, 3));          // Bias 0.
  EXPECT_THAT(Quantize(minifloat, {0.03f, 0.01f}), ElementsAre(0.03125f, 0));  // Bias 3.
  const char* log = "block_log { width: 4 exponent_bias_width: 2 block_size: 2 }";
  EXPECT_THAT(Quantize(log, {1e6f, 3}), ElementsAre(128, 4));
  EXPECT_THAT(Quantize(log, {0.13f, 0.12f}), ElementsAre(0.25f, 0));
}

// The exponent of a block is chosen as if its maximum were rounded to nearest. A maximum that the
// rounding of the elements takes further than that saturates.
TEST(SpecialValuesTest, BlockMaximaThatRoundUpFurtherThanToNearestSaturate) {
  const std::vector<float> x = {0.9f, -0.9f, 0.1f, 0};
  const auto with = [&](absl::string_view rounding) {
    return Quantize(absl::StrCat("block_fp { width: 4 block_size: 4 } rounding: ", rounding), x);
  };
  EXPECT_THAT(with("NEAREST_EVEN"), ElementsAre(0.875f, -0.875f, 0.125f, 0));
  EXPECT_THAT(with("CEILING"), ElementsAre(0.875f, -0.875f, 0.125f, 0));
  EXPECT_THAT(with("AWAY_FROM_ZERO"), ElementsAre(0.875f, -0.875f, 0.125f, 0));
  // From 15/16 on nearest takes the maximum to 1, and there is room.
  EXPECT_THAT(Quantize("block_fp { width: 4 block_size: 2 } rounding: CEILING", {0.9375f, 0.3f}),
              ElementsAre(1, 0.5f));
}

// Ties of x / scale go to the even number of steps; the zero point is added afterwards.
TEST(SpecialValuesTest, AffineTiesAreThoseOfTheSteps) {
  for (const int zero_point : {0, 3}) {
    EXPECT_THAT(
        Quantize(absl::StrCat("affine { width: 8 scale: 0.5 zero_point: ", zero_point, " }"),
                 {0.25f, 0.75f, 1.25f, -0.25f, -0.75f}),
        ElementsAre(0, 1, 1, 0, -1));
  }
}

TEST(OverflowTest, BecomesInfinityOrNaNWhereThatHasACode) {
  EXPECT_THAT(QuantizedBits("mx { element_format: 'fp8_e5m2' } overflow: TO_INFINITY",
                            {61439, 61440, -1e30f, kInf, kNan}),
              ElementsAre(0x47600000, 0x7F800000, 0xFF800000, 0x7F800000, kNanBits));
  EXPECT_THAT(QuantizedBits("minifloat { exponent_width: 4 frac_width: 3 is_finite: false } "
                            "overflow: TO_INFINITY",
                            {240, 1e30f, -kInf, kNan}),
              ElementsAre(0x43700000, 0x7F800000, 0xFF800000, kNanBits));
  // E4M3 has a NaN and no Inf.
  EXPECT_THAT(
      QuantizedBits("mx { element_format: 'fp8_e4m3' } overflow: TO_INFINITY",
                    {464, 464.1f, -1e30f, kInf, -kInf, kNan, -448}),
      ElementsAre(0x43E00000, kNanBits, kNanBits, kNanBits, kNanBits, kNanBits, 0xC3E00000));
  // Rounding towards zero ends at the largest value, but an infinity is none.
  EXPECT_THAT(QuantizedBits("mx { element_format: 'fp8_e4m3' } overflow: TO_INFINITY rounding: "
                            "TOWARD_ZERO",
                            {1e30f, kInf}),
              ElementsAre(0x43E00000, kNanBits));
}

TEST(OverflowTest, ToInfinityIsRefusedWhereNoCodeCanSayIt) {
  for (const char* format :
       {"mx { element_format: 'fp6_e3m2' }", "mx { element_format: 'fp6_e2m3' }",
        "mx { element_format: 'fp4_e2m1' }", "mx { element_format: 'int8' }",
        "mx { element_format: 'fp8_e5m2' block_size: 16 }",
        "minifloat { exponent_width: 4 frac_width: 3 }",
        "minifloat_ieee { width: 8 exponent_width: 4 }",
        "minifloat_denorm { width: 8 exponent_width: 4 }"}) {
    EXPECT_THAT(Error(absl::StrCat(format, " overflow: TO_INFINITY")),
                HasSubstr("TO_INFINITY is not supported: values have no code for Inf or NaN"))
        << format;
  }
}

// By MASE's float32-rounded logarithm 0x007fffea to 0x007fffff are 2^-126, and not flushed.
TEST(ReferenceTest, MxFlushesSubnormalBlocksByTheRoundedLogarithm) {
  for (uint32_t bits = 0x007FFFE0; bits < 0x00800004; ++bits) {
    const std::vector<float> x = {Subnormal(bits), Subnormal(bits / 2)};
    const std::string mx = "mx { element_format: 'fp8_e4m3' block_size: 2 ";
    const std::vector<uint32_t> kept = QuantizedBits(mx + "} semantics: REFERENCE", x);
    const std::vector<uint32_t> flushed =
        QuantizedBits(mx + "flush_fp32_subnorms: true } semantics: REFERENCE", x);
    ASSERT_NE(kept[0], 0u);
    if (bits < 0x007FFFEA) {
      EXPECT_THAT(flushed, ElementsAre(0, 0)) << std::hex << bits;
    } else {
      EXPECT_EQ(flushed, kept) << std::hex << bits;
    }
  }
}

const std::vector<float>& Mixed() {
  static const auto* const x = new std::vector<float>{1.0f, 1.97f, 0.3f, -2.7f, 500,   0.001f,
                                                      0,    -0.0f, 3.0f, 1e-9f, 0.75f, 6};
  return *x;
}

TEST(ReferenceTest, ComputesWithoutFractionAsMaseDoes) {
  EXPECT_THAT(
      QuantizedBits("minifloat_ieee { width: 5 exponent_width: 4 } semantics: REFERENCE", Mixed()),
      ElementsAre(0x3F800000, 0x3F800000, 0x3E800000, 0xC0000000, 0x43800000, 0, 0, 0, 0x40000000,
                  0x3089705F, 0x3F000000, 0x40800000));
  EXPECT_THAT(QuantizedBits("minifloat_denorm { width: 6 exponent_width: 4 } semantics: REFERENCE",
                            Mixed()),
              ElementsAre(0x3F000000, 0x3F800000, 0x3E800000, 0xC0000000, 0x43000000, 0, 0, 0,
                          0x40000000, 0x3089705F, 0x3F000000, 0x40800000));
  EXPECT_THAT(QuantizedBits("minifloat_denorm { width: 5 exponent_width: 4 } semantics: REFERENCE",
                            Mixed()),
              ElementsAre(0, 0, 0, kMinusZero, 0, 0, 0, 0, 0, 0x3089705F, 0, 0));
  EXPECT_THAT(
      QuantizedBits("mxint { block_size: 4 element_bits: 1 } semantics: REFERENCE", Mixed()),
      ElementsAre(0, 0, 0, 0xC0800000, 0, 0, 0, kMinusZero, 0, 0, 0, 0));
  EXPECT_THAT(Error("minifloat_ieee { width: 5 exponent_width: 4 }"), HasSubstr("allowed 6 to 28"));
  EXPECT_THAT(Error("mxint { block_size: 4 element_bits: 1 }"), HasSubstr("allowed 2 to 24"));
}

TEST(ReferenceTest, FlexRoundHandsSmallOutputsOn) {
  const std::string reference =
      "flexround { output: true width: 8 frac_width: 4 } semantics: REFERENCE";
  std::vector<float> x = {0.3f, -1.2f, 0.05f, 100, -100, 0.03125f, 0.09375f, -0.01f, 2.2f};
  EXPECT_THAT(QuantizedBits(reference, x), ElementsAreArray(BitsOf(x)));  // Nine.
  x.push_back(0.5f);
  EXPECT_THAT(QuantizedBits(reference, x),
              ElementsAreArray(BitsOf(
                  {0.3125f, -1.1875f, 0.0625f, 7.9375f, -8, 0, 0.125f, -0.0f, 2.1875f, 0.5f})));
  EXPECT_THAT(QuantizedBits("flexround { output: true }", {0.3f, -0.01f}),
              ElementsAre(0x3EA00000, 0));
  std::vector<float> tiny(12, 1e-6f);
  tiny[3] = -1e-5f;
  EXPECT_THAT(QuantizedBits(reference, tiny), ElementsAreArray(BitsOf(tiny)));
  tiny[3] = -1.1e-5f;
  EXPECT_THAT(QuantizedBits(reference, tiny)[0], 0u);
  tiny[3] = kNan;
  EXPECT_THAT(QuantizedBits(reference, tiny)[3], kNanBits);
  EXPECT_THAT(QuantizedBits(reference, tiny)[0], 0u);
}

TEST(CheckRankTest, RefusesTheRanksThatMaseRefuses) {
  const auto check = [](absl::string_view text, int rank) {
    return (*Format::FromText(text))->CheckRank(Shape(std::vector<int64_t>(rank, 2))).ok();
  };
  const std::string block = "block_fp { width: 8 block_size: 4 skip_first_dim: true }";
  EXPECT_TRUE(check(block, 1));
  EXPECT_FALSE(check(block + " semantics: REFERENCE", 1));
  EXPECT_TRUE(check(block + " semantics: REFERENCE", 3));
  EXPECT_FALSE(check(block + " semantics: REFERENCE", 4));
  EXPECT_FALSE(check("ternary { } semantics: REFERENCE", 2));
  EXPECT_TRUE(check("ternary { } semantics: REFERENCE", 4));
  EXPECT_FALSE(
      check("mxint { block_size: 4 element_bits: 4 block_dim: 2 } semantics: REFERENCE", 2));
  EXPECT_TRUE(check("mxint { block_size: 4 element_bits: 4 } semantics: REFERENCE", 2));
  EXPECT_TRUE(check("mxint_hardware { parallelism: [2, 2] } semantics: REFERENCE", 2));
}

}  // namespace
}  // namespace mase
