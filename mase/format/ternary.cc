// Family `ternary`: -1, 0 and 1, with scaling_factor times the mean magnitude of what is not 0.
//
//   x > t ? a : x < -t ? -a : 0
//
// per slice of the first axis. EXACT: t is `threshold`, or 0.75 mean, 0.05 max, 0.75 median of the
// given statistic, else 0.75 of the slice's own mean |x|. REFERENCE: always the last, rank 4 alone;
// a scaled slice without a value above t is NaN.
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/scaled_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "ternary";
constexpr absl::string_view kWeightAlone[] = {ops::kLinear, ops::kConv2d};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"scaling_factor", FamilyParameter::kRequired, true},
    {"mean", FamilyParameter::kOptional, true},
    {"median", FamilyParameter::kOptional, true},
    {"max", FamilyParameter::kOptional, true},
    {"threshold", FamilyParameter::kOptional},
};

// The threshold and the scale of one slice.
struct Slice {
  float threshold, scale;
};

// `given` < 0: 0.75 of the mean.
template <typename Magnitude>
Slice Measure(const float* x, int64_t count, float given, bool scaled, const Magnitude& magnitude) {
  double sum = 0, above = 0;
  int64_t number = 0;
  for (int64_t i = 0; i < count; ++i) sum += magnitude(x[i]);
  const float threshold =
      given >= 0 ? given : 0.75f * static_cast<float>(sum / static_cast<double>(count));
  for (int64_t i = 0; i < count; ++i) {
    const float v = magnitude(x[i]);
    if (v > threshold) {
      above += v;
      ++number;
    }
  }
  return {threshold, scaled ? static_cast<float>(above / static_cast<double>(number)) : 1.0f};
}

class TernaryQuantizer final : public Format {
 public:
  explicit TernaryQuantizer(const FormatProto& proto) : Format(proto) {
    const TernaryFormat& ternary = proto.ternary();
    if (ternary.has_threshold()) {
      given_ = ternary.threshold();
    } else if (ternary.has_mean()) {
      given_ = 0.75f * ternary.mean();
    } else if (ternary.has_max()) {
      given_ = 0.05f * ternary.max();
    } else if (ternary.has_median()) {
      given_ = 0.75f * ternary.median();
    }
    if (is_reference()) given_ = -1;
  }

  int code_bits() const override { return is_reference() ? 0 : 2; }
  double BitsPerValue(const Shape& shape) const override {
    if (!scaled() || shape.elements() == 0) return 2;
    return 2 + 32.0 * static_cast<double>(SliceLayout(shape).blocks()) /
                   static_cast<double>(shape.elements());
  }
  double lowest() const override { return -1; }
  double highest() const override { return 1; }
  double step() const override { return 1; }
  std::vector<float> Values() const override { return {-1, 0, 1}; }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    if (is_reference()) MASE_RETURN_IF_ERROR(CheckRankFour(kName, shape));
    SliceLayout(shape).ForEachRun([&](int64_t, int64_t offset, int64_t count) {
      const Slice slice = SliceOf(src + offset, count);
      for (int64_t i = offset; i < offset + count; ++i) {
        const float x = src[i];
        const float sign = x > slice.threshold ? 1.0f : x < -slice.threshold ? -1.0f : 0.0f;
        dst[i] = is_reference()  ? sign * slice.scale
                 : std::isnan(x) ? x
                 : sign == 0     ? 0.0f
                                 : sign * slice.scale;
      }
    });
    return absl::OkStatus();
  }

  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override {
    const int64_t count = shape.elements();
    for (int64_t i = 0; i < count; ++i) saturated[i] = !(std::fabs(src[i]) <= 1);
    return absl::OkStatus();
  }

  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override {
    if (is_reference()) return Format::DoEncode(src, shape, encoded);
    absl::Status status;
    SliceLayout(shape).ForEachRun([&](int64_t, int64_t offset, int64_t count) {
      const Slice slice = SliceOf(src + offset, count);
      if (scaled()) encoded->block_codes.push_back(std::bit_cast<uint32_t>(slice.scale));
      for (int64_t i = offset; i < offset + count; ++i) {
        if (std::isnan(src[i])) status.Update(NoCodeError(i, src[i]));
        encoded->codes.push_back(src[i] > slice.threshold ? 1 : src[i] < -slice.threshold ? 3 : 0);
      }
    });
    return status;
  }

  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override {
    if (is_reference()) return Format::DoDecode(encoded, dst);
    const BlockLayout layout = SliceLayout(encoded.shape);
    const int64_t scales = scaled() ? layout.blocks() : 0;
    if (static_cast<int64_t>(encoded.block_codes.size()) != scales) {
      return absl::InvalidArgumentError(
          absl::StrCat(kName, ": ", encoded.block_codes.size(), " block codes, want ", scales));
    }
    layout.ForEachRun([&](int64_t block, int64_t offset, int64_t count) {
      const float scale = scaled() ? std::bit_cast<float>(encoded.block_codes[block]) : 1.0f;
      for (int64_t i = offset; i < offset + count; ++i) {
        const uint32_t code = encoded.codes[i] & 3;
        dst[i] = code == 0 ? 0.0f : code == 1 ? scale : -scale;
      }
    });
    return absl::OkStatus();
  }

 private:
  bool scaled() const { return proto().ternary().scaling_factor(); }

  Slice SliceOf(const float* x, int64_t count) const {
    if (is_reference()) {
      return Measure(x, count, given_, scaled(), [](float v) { return std::fabs(v); });
    }
    // Without what is not a number; a slice without values above the threshold is all zeros.
    Slice slice = Measure(x, count, given_, scaled(),
                          [](float v) { return std::isnan(v) ? 0.0f : FiniteMagnitude(v); });
    if (std::isnan(slice.scale)) slice.scale = 0;
    return slice;
  }

  float given_ = -1;
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const TernaryFormat& ternary = proto.ternary();
  constexpr float kMax = std::numeric_limits<float>::max();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "threshold", ternary.threshold(), 0, kMax));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "mean", ternary.mean(), 0, kMax));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "max", ternary.max(), 0, kMax));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "median", ternary.median(), 0, kMax));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  return std::make_unique<TernaryQuantizer>(proto);
}

}  // namespace

const Family& TernaryFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kTernary,
      .name = kName,
      .class_suffix = "Ternary",
      .summary = "-1, 0 and 1, optionally times the mean magnitude of what is not 0",
      .example = "ternary { scaling_factor: true }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFewBits,
      .scheme = OperandScheme::kWeightsOfLayers,
      .weight_alone_in = kWeightAlone,
  };
  return kFamily;
}

}  // namespace mase
