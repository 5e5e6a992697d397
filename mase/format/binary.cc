// Family `binary`: one bit a value.
//
//   bipolar:  x >= 0 ? 1 : -1
//   else:     x > 0 ? a : 0, with a the mean of |x| over the slice x is in (first axis)
//   stochastic: the upper value with probability clamp((x + 1) / 2, 0, 1)
//
// REFERENCE: the unipolar forms take rank 4 alone, and the stochastic one is not random: its p
// decides by p > 0, and a is the mean of p.
#include <cmath>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_ops.h"
#include "mase/format/scaled_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "binary";
constexpr absl::string_view kWeightAlone[] = {ops::kLinear, ops::kConv2d};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"stochastic", FamilyParameter::kRequired, true},
    {"bipolar", FamilyParameter::kRequired, true},
};

float Probability(float x) { return Clamp((x + 1) / 2, 0, 1); }

float MeanMagnitude(const std::vector<float>& values) {
  double sum = 0;
  for (float x : values) sum += std::fabs(x);
  return static_cast<float>(sum / static_cast<double>(values.size()));
}

struct BipolarTraits : ScaledTraits {
  double Code(double x, double, double uniform) const {
    const double p = (x + 1) / 2;
    const double code = (random ? uniform < p : x >= 0) ? 1 : -1;
    return x != x ? x : code;
  }
  bool InRange(double x, double) const { return std::fabs(x) <= 1; }
  uint32_t Pattern(int code) const { return code > 0 ? 1 : 0; }
  int CodeOf(uint32_t pattern) const { return pattern & 1 ? 1 : -1; }
};

struct UnipolarTraits : ScaledTraits {
  static constexpr bool kScaleFromValues = true;
  BlockLayout Layout(const Shape& shape) const { return SliceLayout(shape); }
  float Scale(const std::vector<float>& values) const {
    std::vector<float> finite;
    for (float x : values) {
      if (!std::isnan(x)) finite.push_back(FiniteMagnitude(x));
    }
    return finite.empty() ? 0 : MeanMagnitude(finite);
  }
  double Code(double x, double, double uniform) const {
    const double code = (random ? uniform < (x + 1) / 2 : x > 0) ? 1 : 0;
    return x != x ? x : code;
  }
  bool InRange(double x, double) const { return std::fabs(x) <= 1; }
};

absl::Status QuantizeBipolar(const float* src, float* dst, const Shape& shape, uint64_t seed,
                             bool stochastic) {
  const int64_t count = shape.elements();
  for (int64_t i = 0; i < count; ++i) {
    const bool up = stochastic ? Probability(src[i]) >= UniformAt(seed, i) : src[i] >= 0;
    dst[i] = up ? 1.0f : -1.0f;
  }
  return absl::OkStatus();
}

absl::Status QuantizeUnipolar(const float* src, float* dst, const Shape& shape, bool stochastic) {
  MASE_RETURN_IF_ERROR(CheckRankFour(kName, shape));
  const int64_t slice = shape.elements() / shape[0];
  std::vector<float> x(slice);
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t i = 0; i < slice; ++i) {
      const float value = src[n * slice + i];
      x[i] = stochastic ? Probability(value) : value;
    }
    const float mean = MeanMagnitude(x);
    // A product with the 0/1 mask, as MASE's: a NaN mean makes the zeros NaN too.
    for (int64_t i = 0; i < slice; ++i) dst[n * slice + i] = (x[i] > 0 ? 1.0f : 0.0f) * mean;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const bool stochastic = proto.binary().stochastic();
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  ScaledTraits common;
  common.bits = 1;
  common.hi = 1;
  common.random = stochastic;
  common.gradient_factor = stochastic ? 0.5f : 1.0f;
  if (proto.binary().bipolar()) {
    common.lo = -1;
    common.stores_scale = false;
    return MakeScaledFormat(
        proto, BipolarTraits{common},
        [stochastic](const float* src, float* dst, const Shape& shape, uint64_t seed) {
          return QuantizeBipolar(src, dst, shape, seed, stochastic);
        });
  }
  return MakeScaledFormat(proto, UnipolarTraits{common},
                          [stochastic](const float* src, float* dst, const Shape& shape, uint64_t) {
                            return QuantizeUnipolar(src, dst, shape, stochastic);
                          });
}

}  // namespace

const Family& BinaryFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kBinary,
      .name = kName,
      .class_suffix = "Binary",
      .summary = "one bit: -1 and 1 (bipolar), or 0 and the slice's mean magnitude",
      .example = "binary { bipolar: true }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFewBits,
      .scheme = OperandScheme::kWeightsOfLayers,
      .weight_alone_in = kWeightAlone,
      .marks_results = true,
  };
  return kFamily;
}

}  // namespace mase
