#include "mase/format/format.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> Quantize(absl::string_view format, const std::vector<float>& x) {
  auto created = Format::FromText(format);
  EXPECT_TRUE(created.ok()) << created.status();
  if (!created.ok()) return {};
  std::vector<float> y(x.size());
  const absl::Status status =
      (*created)->Quantize(x.data(), y.data(), {static_cast<int64_t>(x.size())});
  EXPECT_TRUE(status.ok()) << status;
  return y;
}

std::string Error(absl::string_view format) {
  return std::string(Format::FromText(format).status().message());
}

TEST(IntegerTest, RoundsToNearestEvenAndSaturates) {
  for (const char* semantics : {"", " semantics: REFERENCE"}) {
    EXPECT_THAT(
        Quantize(absl::StrCat("integer { width: 8 frac_width: 4 }", semantics),
                 {0.03125, 0.09375, -0.03125, -0.09375, 0.15625, 7.96, 100, -8.2, INFINITY}),
        ElementsAre(0, 0.125, 0, -0.125, 0.125, 7.9375, 7.9375, -8, 7.9375));
    EXPECT_THAT(
        Quantize(absl::StrCat("integer { width: 8 frac_width: 4 is_signed: false }", semantics),
                 {-0.5, 0.53125, 15.96, 20}),
        ElementsAre(0, 0.5, 15.9375, 15.9375));
    EXPECT_THAT(
        Quantize(absl::StrCat("integer { width: 8 frac_width: 4 } rounding: FLOOR", semantics),
                 {0.09, -0.01, -0.0625, 7.99, -8.5}),
        ElementsAre(0.0625, -0.0625, -0.0625, 7.9375, -8));
    EXPECT_THAT(
        Quantize(absl::StrCat("integer { width: 8 frac_width: -1 }", semantics), {100, 37.5, -3}),
        ElementsAre(100, 38, -4));
  }
}

TEST(IntegerTest, OnlyTheReferenceHasANegativeZero) {
  EXPECT_FALSE(std::signbit(Quantize("integer { width: 8 }", {-0.01f})[0]));
  EXPECT_TRUE(std::signbit(Quantize("integer { width: 8 } semantics: REFERENCE", {-0.01f})[0]));
}

TEST(IntegerTest, WithoutAFractionHalfOfTheWidthIsFraction) {
  EXPECT_EQ(Quantize("integer { width: 8 }", {0.06f})[0], 0.0625f);
}

TEST(IntegerTest, EveryRoundingModeHasItsOwnIdeaOfAHalf) {
  const std::vector<float> x = {0.5, 1.5, -0.5, -1.5, 0.25};
  const auto with = [&](absl::string_view mode) {
    return Quantize(absl::StrCat("integer { width: 8 frac_width: 0 } rounding: ", mode), x);
  };
  EXPECT_THAT(with("NEAREST_EVEN"), ElementsAre(0, 2, 0, -2, 0));
  EXPECT_THAT(with("NEAREST_AWAY"), ElementsAre(1, 2, -1, -2, 0));
  EXPECT_THAT(with("FLOOR"), ElementsAre(0, 1, -1, -2, 0));
  EXPECT_THAT(with("CEILING"), ElementsAre(1, 2, 0, -1, 1));
  EXPECT_THAT(with("TOWARD_ZERO"), ElementsAre(0, 1, 0, -1, 0));
  EXPECT_THAT(with("AWAY_FROM_ZERO"), ElementsAre(1, 2, -1, -2, 1));
}

TEST(IntegerTest, WrapsAsAnAdderDoes) {
  EXPECT_THAT(Quantize("integer { width: 4 frac_width: 0 } overflow: WRAP", {7, 8, 9, -8, -9, 23}),
              ElementsAre(7, -8, -7, -8, 7, 7));
}

TEST(IntegerTest, NamesTheFieldItsValueAndTheAllowedRange) {
  EXPECT_EQ(Error("integer { }"), "integer: width 0, allowed 1 to 32");
  EXPECT_EQ(Error("integer { width: 33 }"), "integer: width 33, allowed 1 to 32");
  EXPECT_EQ(Error("integer { width: 8 frac_width: 127 }"),
            "integer: frac_width 127, allowed -119 to 126");
  EXPECT_EQ(Error(""), "no format; for example 'integer 8/4'");
  EXPECT_THAT(Error("integer { widht: 8 }"), HasSubstr("widht"));
  EXPECT_THAT(Error("integer { width: 8 } overflow: TO_INFINITY"), HasSubstr("TO_INFINITY"));
  EXPECT_THAT(Error("integer { width: 8 } semantics: REFERENCE rounding: CEILING"),
              HasSubstr("integer with REFERENCE semantics: rounding CEILING"));
}

TEST(FormatTest, MeansOfResidualSignsAreFinite) {
  for (const char* mean : {"nan", "inf", "-inf", "1e999"}) {
    EXPECT_THAT(Error(absl::StrCat("binary_residual { levels: 1 means: ", mean, " }")),
                HasSubstr("binary_residual: mean "));
    EXPECT_THAT(Error(absl::StrCat("lutnet { k: 2 levels: 1 means: ", mean, " }")),
                HasSubstr("lutnet: mean "));
  }
}

TEST(FormatTest, NanPolicyDecidesWhatBecomesOfANan) {
  EXPECT_TRUE(std::isnan(Quantize("integer { width: 8 }", {NAN})[0]));
  EXPECT_EQ(Quantize("integer { width: 8 } nan: NAN_TO_ZERO", {NAN})[0], 0);
  auto format = *Format::FromText("integer { width: 8 } nan: NAN_IS_ERROR");
  const float x[] = {1, NAN};
  float y[2];
  EXPECT_EQ(format->Quantize(x, y, {2}).message(), "integer: element 1 of [2] is NaN");
}

TEST(FormatTest, EncodesToTwosComplementAndBack) {
  auto format = *Format::FromText("integer { width: 8 frac_width: 4 }");
  const Tensor x = Tensor::FromValues<float>({2, 2}, {-0.25, 1, 100, -100});
  const EncodedTensor encoded = *format->Encode(x);
  EXPECT_THAT(encoded.codes, ElementsAre(252, 16, 127, 128));
  EXPECT_TRUE(BitEqual(*format->Decode(encoded), *format->Quantize(x)));
  EXPECT_THAT(PackCodes(encoded.codes, 8), ElementsAre(252, 16, 127, 128));
  EXPECT_EQ(UnpackCodes(PackCodes(encoded.codes, 9), 9, 4), encoded.codes);
}

TEST(FormatTest, TellsItsNamesAndNumbers) {
  auto format = *Format::FromText("integer { width: 8 frac_width: 4 }");
  EXPECT_EQ(format->family(), "integer");
  EXPECT_EQ(format->class_suffix(), "Integer");
  EXPECT_THAT(format->Precision(), ElementsAre("8", "4"));
  EXPECT_EQ(format->Describe(), "integer 8/4: 8 bits, -8 to 7.9375, step 0.0625");
  EXPECT_EQ(format->Values().size(), 256);
}

TEST(GradientTest, PassesStraightThroughOrStopsAtTheRange) {
  auto format = *Format::FromText("integer { width: 8 frac_width: 4 }");
  const float x[] = {1, 7.95, 8, -9};
  const float diff[] = {1, 2, 3, 4};
  std::vector<float> out(4);
  ASSERT_TRUE(format->Gradient(x, diff, out.data(), {4}).ok());
  EXPECT_THAT(out, ElementsAre(1, 2, 3, 4));
  format = *Format::FromText("integer { width: 8 frac_width: 4 } gradient: CLAMP_AWARE");
  ASSERT_TRUE(format->Gradient(x, diff, out.data(), {4}).ok());
  EXPECT_THAT(out, ElementsAre(1, 2, 0, 0));
}

FormatParameters Parameters(int width) {
  FormatParameters parameters;
  parameters.set_width(width);
  return parameters;
}

TEST(FormatFromParametersTest, FillsTheFamilyOfTheName) {
  FormatParameters parameters = Parameters(8);
  parameters.set_frac_width(3);
  EXPECT_EQ(FormatFromParameters("fixed", parameters, "weight")->ShortDebugString(),
            "integer { width: 8 frac_width: 3 }");
  parameters.set_floor(true);
  EXPECT_EQ(FormatFromParameters("integer", parameters, "weight")->rounding(), FormatProto::FLOOR);
}

TEST(FormatFromParametersTest, ABlockSizeIsAListForSomeFormatsAndANumberForOthers) {
  FormatParameters parameters = Parameters(4);
  parameters.add_block_size(16);
  EXPECT_EQ(FormatFromParameters("mxint", parameters, "weight")->ShortDebugString(),
            "mxint { block_size: 16 element_bits: 4 }");
  parameters.add_block_size(16);
  EXPECT_EQ(FormatFromParameters("mxint", parameters, "weight").status().message(),
            "mxint takes one number for weight_block_size");
  parameters.set_exponent_width(8);
  EXPECT_EQ(FormatFromParameters("block_fp", parameters, "weight")->ShortDebugString(),
            "block_fp { width: 4 exponent_width: 8 block_size: 16 block_size: 16 }");
}

TEST(FormatFromParametersTest, NamesTheKeyOfTheConfig) {
  EXPECT_EQ(FormatFromParameters("integer", {}, "data_in").status().message(),
            "integer needs data_in_width");
  EXPECT_EQ(FormatFromParameters("integer", Parameters(0), "weight").status().message(),
            "weight: integer: width 0, allowed 1 to 32");
  EXPECT_EQ(FormatFromParameters("intger", Parameters(8), "weight").status().message(),
            "unknown format 'intger'; did you mean 'integer'?");
  FormatParameters parameters = Parameters(8);
  parameters.set_exponent_width(3);
  EXPECT_THAT(std::string(FormatFromParameters("integer", parameters, "bias").status().message()),
              HasSubstr("integer has no parameter bias_exponent_width"));
}

}  // namespace
}  // namespace mase
