#include "mase/calibrate/calibrator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/calibrate/fit.h"
#include "mase/format/format.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr CalibrationMethod kMinMax = CalibrationMethod::kMinMax;
constexpr CalibrationMethod kMse = CalibrationMethod::kMse;
constexpr CalibrationMethod kEntropy = CalibrationMethod::kEntropy;

FormatProto Proto(const std::string& text) {
  FormatProto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

// Normals with a few values far out, scaled and moved.
std::vector<float> Values(int64_t count, double scale, double shift, uint64_t seed = 3) {
  TorchGenerator random(seed);
  std::vector<float> values(count);
  for (float& x : values) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += random.Uniform(0, 1);
    if (random.Uniform(0, 1) < 0.01) sum *= 4;
    x = static_cast<float>(sum * scale + shift);
  }
  return values;
}

Observer Seen(const std::vector<float>& values) {
  Observer observer(static_cast<int64_t>(values.size()));
  EXPECT_OK(observer.Observe(values));
  observer.EndBatch();
  return observer;
}

double ErrorOf(const FormatProto& proto, const std::vector<float>& values) {
  const auto format = ValueOrDie(Format::Create(proto));
  std::vector<float> quantized(values.size());
  EXPECT_OK(
      format->Quantize(values.data(), quantized.data(), {static_cast<int64_t>(values.size())}));
  double error = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += (double{values[i]} - quantized[i]) * (double{values[i]} - quantized[i]);
  }
  return error;
}

FormatProto Calibrated(const std::string& format, const std::vector<float>& values,
                       CalibrationMethod method, const CalibratorOptions& options = {}) {
  return ValueOrDie(Calibrate(Proto(format), Seen(values), method, options));
}

// ---- Fit ----

TEST(FitTest, TheRangeOfIntegersIsTheNextPowerOfTwoThatIsOffByHalfAStepAtMost) {
  for (int width = 1; width <= 16; ++width) {
    for (const bool is_signed : {true, false}) {
      FormatProto format;
      format.mutable_integer()->set_width(width);
      if (!is_signed) format.mutable_integer()->set_is_signed(false);
      for (const double end : {1e-3, 0.2, 0.996, 1.0, 1.7, 4.0, 300.0}) {
        const Range range = {is_signed ? -end : 0, end};
        const FormatProto fitted = ValueOrDie(FitToRange(format, range, {}));
        const double step = std::ldexp(1, -fitted.integer().frac_width());
        const double codes = is_signed ? (std::ldexp(1, width) - 1) / 2 : std::ldexp(1, width) - 1;
        EXPECT_GE(step * codes, end * (1 - 1e-12)) << fitted.ShortDebugString() << " for " << end;
        EXPECT_LT(step / 2 * codes, end) << fitted.ShortDebugString() << " for " << end;
      }
    }
  }
}

TEST(FitTest, FloatScalesAndZeroPointsFollowTheFormulas) {
  const struct {
    const char* format;
    Range range;
    FitOptions options;
    float scale;
    int zero_point;
  } kRows[] = {
      {"integer { width: 8 }", {-1, 3}, {.float_scale = true}, 3 / 127.5f, 0},
      {"integer { width: 8 }", {-4, 3}, {.float_scale = true}, 4 / 127.5f, 0},
      {"integer { width: 8 is_signed: false }", {0, 3}, {.float_scale = true}, 3 / 255.f, 0},
      {"integer { width: 8 }", {-1, 3}, {.float_scale = true, .symmetric = false}, 4 / 255.f, -64},
      {"integer { width: 8 is_signed: false }",
       {-1, 3},
       {.float_scale = true, .symmetric = false},
       4 / 255.f,
       64},
      // The range is widened to hold 0.
      {"integer { width: 8 }", {2, 3}, {.float_scale = true, .symmetric = false}, 3 / 255.f, -128},
      {"integer { width: 8 }", {-3, -2}, {.float_scale = true, .symmetric = false}, 3 / 255.f, 127},
      // 4 / 255 is not quite 2^-6.
      {"integer { width: 8 }", {-1, 3}, {.symmetric = false}, 0.03125f, -96},
      {"affine { width: 4 scale: 9 }", {-1, 1}, {.float_scale = true}, 1 / 7.5f, 0},
  };
  for (const auto& row : kRows) {
    const FormatProto fitted = ValueOrDie(FitToRange(Proto(row.format), row.range, row.options));
    ASSERT_TRUE(fitted.has_affine()) << row.format;
    EXPECT_FLOAT_EQ(fitted.affine().scale(0), row.scale) << row.format;
    EXPECT_EQ(fitted.affine().zero_point_size(), row.options.symmetric ? 0 : 1) << row.format;
    if (row.options.symmetric) continue;
    EXPECT_EQ(fitted.affine().zero_point(0), row.zero_point) << row.format;
  }
}

TEST(FitTest, FloatsAndPowersGetTheSmallestRangeThatHoldsAll) {
  for (const char* text :
       {"minifloat_ieee { width: 8 exponent_width: 4 }",
        "minifloat_ieee { width: 16 exponent_width: 8 }",
        "minifloat_ieee { width: 4 exponent_width: 2 } semantics: REFERENCE",
        "minifloat_denorm { width: 8 exponent_width: 3 }", "log { width: 5 }", "log { width: 8 }",
        "logicnets { width: 4 }", "flexround { width: 6 }", "lsq { level: 16 sym: true }"}) {
    for (const double end : {1e-4, 0.7, 1.0, 5.0, 1000.0}) {
      const FormatProto fitted = ValueOrDie(FitToRange(Proto(text), {-end / 2, end}, {}));
      const auto format = ValueOrDie(Format::Create(fitted));
      EXPECT_GE(format->highest(), end * (1 - 1e-6)) << fitted.ShortDebugString();
      if (fitted.has_log() && fitted.log().width() == 8) continue;  // Wider than float32.
      if (fitted.has_minifloat_ieee() && fitted.minifloat_ieee().exponent_width() == 8) continue;
      EXPECT_LT(format->highest() / 2, end) << fitted.ShortDebugString();
    }
  }
}

TEST(FitTest, AParameterStopsWhereTheFamilyDoes) {
  for (const char* text :
       {"integer { width: 8 }", "minifloat_ieee { width: 8 exponent_width: 4 }", "log { width: 5 }",
        "minifloat_denorm { width: 8 exponent_width: 4 }", "affine { width: 8 scale: 1 }"}) {
    for (const double end : {1e-44, 3e38}) {
      EXPECT_OK(FitToRange(Proto(text), {-end, end}, {})) << text << " " << end;
      EXPECT_OK(FitToRange(Proto(text), {-end, end}, {.float_scale = true})) << text << " " << end;
    }
  }
}

TEST(FitTest, FormatsThatScaleThemselvesHaveNothingToFit) {
  for (const char* text :
       {"block_fp { }", "mxint { block_size: 4 element_bits: 8 }", "binary { }",
        "scale_integer { width: 8 }", "minifloat { exponent_width: 4 frac_width: 3 }"}) {
    EXPECT_FALSE(CanFit(Proto(text))) << text;
  }
}

TEST(FitTest, KnowsWhetherTheParameterIsGiven) {
  for (const char* text : {"integer { width: 8 }", "affine { width: 8 }", "log { width: 5 }",
                           "lsq { level: 16 }", "block_fp { }"}) {
    EXPECT_FALSE(HasFit(Proto(text))) << text;
  }
  for (const char* text : {"integer { width: 8 frac_width: 0 }", "affine { width: 8 scale: 1 }",
                           "log { width: 5 exponent_bias: 7 }", "lsq { level: 16 scale: 1 }",
                           "flexround { width: 8 s1_init: 0.5 }"}) {
    EXPECT_TRUE(HasFit(Proto(text))) << text;
  }
}

TEST(FitTest, WhatAffineLacksIsSaid) {
  EXPECT_THAT(FitToRange(Proto("integer { width: 8 } semantics: REFERENCE"), {-1, 1},
                         {.float_scale = true}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("REFERENCE")));
  EXPECT_THAT(
      FitToRange(Proto("integer { width: 8 } rounding: FLOOR"), {-1, 1}, {.symmetric = false}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("FLOOR")));
}

// ---- Methods ----

TEST(CalibrateTest, MinMaxAndPercentileDifferByTheValuesFarOut) {
  std::vector<float> values(1000, 0.5f);
  values[17] = -100;
  CalibratorOptions options;
  options.fit.float_scale = true;
  EXPECT_FLOAT_EQ(Calibrated("integer { width: 8 }", values, kMinMax, options).affine().scale(0),
                  100 / 127.5f);
  options.percentile = 99;
  EXPECT_FLOAT_EQ(
      Calibrated("integer { width: 8 }", values, CalibrationMethod::kPercentile, options)
          .affine()
          .scale(0),
      0.5f / 127.5f);
}

TEST(CalibrateTest, AsymmetricPercentilesCutBothEndsAlike) {
  std::vector<float> values(1001);
  for (int i = 0; i <= 1000; ++i) values[i] = static_cast<float>(i - 300);
  CalibratorOptions options = {.fit = {.float_scale = true, .symmetric = false}, .percentile = 90};
  const FormatProto format =
      Calibrated("integer { width: 8 }", values, CalibrationMethod::kPercentile, options);
  EXPECT_FLOAT_EQ(format.affine().scale(0), (650 + 250) / 255.f);  // -250 to 650.
}

TEST(CalibrateTest, APercentileOfZeroFallsBackToTheRange) {
  std::vector<float> values(10000, 0.0f);
  values[5] = 2;
  const FormatProto format = Calibrated("integer { width: 8 }", values,
                                        CalibrationMethod::kPercentile, {.percentile = 99});
  EXPECT_EQ(format.integer().frac_width(), 5);
}

TEST(CalibrateTest, NoFractionWidthHasASmallerErrorThanMse) {
  for (const double scale : {0.02, 1.0, 37.0}) {
    for (const double shift : {0.0, 1.5}) {
      const std::vector<float> values = Values(3000, scale, shift * scale);
      for (int width = 2; width <= 12; ++width) {
        for (const char* tail :
             {"}", "is_signed: false }", "} semantics: REFERENCE", "} rounding: FLOOR"}) {
          const std::string text = absl::StrCat("integer { width: ", width, " ", tail);
          double least = std::numeric_limits<double>::infinity();
          for (int frac_width = -20; frac_width <= 30; ++frac_width) {
            FormatProto format = Proto(text);
            format.mutable_integer()->set_frac_width(frac_width);
            least = std::min(least, ErrorOf(format, values));
          }
          const FormatProto chosen = Calibrated(text, values, kMse);
          EXPECT_DOUBLE_EQ(ErrorOf(chosen, values), least) << chosen.ShortDebugString();
        }
      }
    }
  }
}

TEST(CalibrateTest, NoExponentBiasHasASmallerErrorThanMse) {
  const std::vector<float> values = Values(3000, 0.07, 0);
  for (const char* text : {"minifloat_ieee { width: 6 exponent_width: 3 }",
                           "minifloat_denorm { width: 6 exponent_width: 2 }", "log { width: 4 }",
                           "minifloat_ieee { width: 4 exponent_width: 2 } semantics: REFERENCE"}) {
    double least = std::numeric_limits<double>::infinity();
    for (int bias = -30; bias <= 30; ++bias) {
      FormatProto format = Proto(text);
      if (format.has_minifloat_ieee()) format.mutable_minifloat_ieee()->set_exponent_bias(bias);
      if (format.has_minifloat_denorm()) format.mutable_minifloat_denorm()->set_exponent_bias(bias);
      if (format.has_log()) format.mutable_log()->set_exponent_bias(bias);
      least = std::min(least, ErrorOf(format, values));
    }
    EXPECT_DOUBLE_EQ(ErrorOf(Calibrated(text, values, kMse), values), least) << text;
  }
}

TEST(CalibrateTest, NoClipHasAMuchSmallerErrorThanMse) {
  // Against 2000 ends; the search has some 200.
  for (const int width : {2, 3, 4, 6, 8}) {
    for (const double shift : {0.0, 2.0}) {
      const std::vector<float> values = Values(2000, 0.3, shift * 0.3);
      const std::string text = absl::StrCat("integer { width: ", width, " }");
      CalibratorOptions options = {.fit = {.float_scale = true}};
      const Range full = Seen(values).range();
      double least = std::numeric_limits<double>::infinity();
      for (int i = 1; i <= 2000; ++i) {
        const Range range = {full.lo * i / 2000, full.hi * i / 2000};
        least = std::min(least,
                         ErrorOf(ValueOrDie(FitToRange(Proto(text), range, options.fit)), values));
      }
      EXPECT_LE(ErrorOf(Calibrated(text, values, kMse, options), values), 1.005 * least) << text;
      // With a zero point never worse than the best symmetric one, as values are lopsided.
      options.fit.symmetric = false;
      if (shift == 0) continue;
      EXPECT_LE(ErrorOf(Calibrated(text, values, kMse, options), values), least) << text;
    }
  }
}

// The definition of calibrator.h, plainly.
double PlainDivergence(const std::vector<float>& values, const FormatProto& proto) {
  constexpr int kBins = 2048;
  const auto format = ValueOrDie(Format::Create(proto));
  const double lo = *std::min_element(values.begin(), values.end());
  const double hi = *std::max_element(values.begin(), values.end());
  const double width = (hi - lo) / kBins;
  std::vector<double> count(kBins, 0), p(kBins, 0), q(kBins, 0);
  for (float x : values) ++count[std::min(kBins - 1, static_cast<int>((x - lo) / width))];
  std::vector<bool> inside(kBins);
  std::map<float, std::vector<int>> bins_of_code;
  int first = -1, last = -1;
  const double step = std::ldexp(1, -proto.integer().frac_width());
  for (int i = 0; i < kBins; ++i) {
    const float centre = static_cast<float>(lo + (i + 0.5) * width);
    // An integer saturates what is more than half a step beyond its ends.
    const double code = std::nearbyint(centre / step);
    inside[i] = code * step <= format->highest() && code * step >= format->lowest();
    if (!inside[i]) continue;
    if (first < 0) first = i;
    last = i;
    bins_of_code[static_cast<float>(code)].push_back(i);
  }
  if (first < 0 ||
      (last - first + 1 < kBins && static_cast<int>(bins_of_code.size()) == last - first + 1)) {
    return std::numeric_limits<double>::infinity();
  }
  double own = 0;
  for (int i = 0; i < kBins; ++i) {
    p[std::clamp(i, first, last)] += count[i];
    if (inside[i]) own += count[i];
  }
  for (const auto& [code, bins] : bins_of_code) {
    double mass = 0;
    int filled = 0;
    for (int i : bins) mass += count[i], filled += p[i] > 0;
    for (int i : bins) q[i] = p[i] > 0 ? mass / filled / own : 0;
  }
  double divergence = 0;
  for (int i = 0; i < kBins; ++i) {
    const double share = p[i] / static_cast<double>(values.size());
    if (share > 0) divergence += share * std::log(share / std::max(q[i], 1e-9));
  }
  return divergence;
}

TEST(CalibrateTest, NoFractionWidthHasASmallerDivergenceThanEntropy) {
  for (const double scale : {0.02, 1.0}) {
    const std::vector<float> values = Values(20000, scale, 0);
    for (const int width : {2, 3, 4, 6, 8}) {
      for (const char* tail : {"}", "is_signed: false }"}) {
        const std::string text = absl::StrCat("integer { width: ", width, " ", tail);
        const FormatProto chosen = Calibrated(text, values, kEntropy);
        double least = std::numeric_limits<double>::infinity();
        // From the width that minmax takes on.
        for (int f = Calibrated(text, values, kMinMax).integer().frac_width(); f <= 20; ++f) {
          FormatProto format = Proto(text);
          format.mutable_integer()->set_frac_width(f);
          least = std::min(least, PlainDivergence(values, format));
        }
        EXPECT_NEAR(PlainDivergence(values, chosen), least, 1e-9) << chosen.ShortDebugString();
      }
    }
  }
}

TEST(CalibrateTest, WideFormatsLoseNothingToEntropy) {
  const std::vector<float> values = Values(5000, 1, 0);
  EXPECT_EQ(Calibrated("integer { width: 16 }", values, kEntropy).integer().frac_width(),
            Calibrated("integer { width: 16 }", values, kMinMax).integer().frac_width());
}

TEST(CalibrateTest, OneValueIsEnough) {
  for (const CalibrationMethod method : AllCalibrationMethods()) {
    for (const float x : {0.75f, -3.0f}) {
      for (const bool symmetric : {true, false}) {
        for (const bool float_scale : {true, false}) {
          const CalibratorOptions options = {
              .fit = {.float_scale = float_scale, .symmetric = symmetric}};
          const FormatProto format = Calibrated("integer { width: 8 }", {x, x}, method, options);
          EXPECT_LE(std::sqrt(ErrorOf(format, {x})), std::fabs(x) / 100)
              << CalibrationMethodName(method) << " " << format.ShortDebugString();
        }
      }
    }
  }
}

}  // namespace
}  // namespace mase
