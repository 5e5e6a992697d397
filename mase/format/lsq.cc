// Family `lsq`: learned step size.
//
//   q = clamp(round(x / s), lo, hi) * s
//
// EXACT rounds ties to even, REFERENCE up (floor(x / s + 0.5)). The gradient is 1 in range and 0
// where the value was clamped. From level 256 on MASE's module is the identity, and so is this.
#include "mase/format/lsq.h"

#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_ops.h"
#include "mase/format/scaled_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "lsq";
constexpr absl::string_view kAliases[] = {"lsqinteger"};
constexpr LearnedParameter kLearned[] = {{"step", "scale"}};
constexpr FamilyParameter kParameters[] = {
    {"level", FamilyParameter::kRequired, true},
    {"sym", FamilyParameter::kOptional},
    {"scale", FamilyParameter::kOptional},
};
constexpr int kIdentityLevel = 256;

float ScaleOf(const FormatProto& proto) {
  return proto.lsq().has_scale() ? proto.lsq().scale() : 1;
}

struct Traits : ScaledTraits {
  float scale = 1;

  float Scale(const std::vector<float>&) const { return scale; }
  double Code(double x, double s, double) const {
    const double code = std::nearbyint(x / s);
    return code < lo ? lo : code > hi ? hi : code;
  }
};

class Identity final : public Format {
 public:
  explicit Identity(const FormatProto& proto) : Format(proto) {}

  double BitsPerValue(const Shape&) const override { return 32; }
  double lowest() const override { return std::numeric_limits<float>::lowest(); }
  double highest() const override { return std::numeric_limits<float>::max(); }
  double step() const override { return std::numeric_limits<float>::denorm_min(); }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    std::copy_n(src, src == dst ? 0 : shape.elements(), dst);
    return absl::OkStatus();
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const LsqFormat& lsq = proto.lsq();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "level", lsq.level(), 2, 1 << 24));
  const float scale = ScaleOf(proto);
  MASE_RETURN_IF_ERROR(CheckRange(kName, "scale", scale, std::numeric_limits<float>::min(),
                                  std::numeric_limits<float>::max()));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  if (lsq.level() >= kIdentityLevel) return std::make_unique<Identity>(proto);
  const LsqRange range = LsqRangeOf(proto);
  Traits traits;
  while (1 << traits.bits < lsq.level()) ++traits.bits;
  traits.lo = range.lo;
  traits.hi = range.hi;
  traits.stores_scale = false;
  traits.clamped = true;
  traits.scale = scale;
  const float lo = static_cast<float>(range.lo), hi = static_cast<float>(range.hi);
  return MakeScaledFormat(
      proto, traits, [=](const float* src, float* dst, const Shape& shape, uint64_t) {
        const int64_t count = shape.elements();
        // hi = 0 makes MASE's gradient scale 1 / 0 and with it the whole output NaN.
        const float poison = hi == 0 ? std::numeric_limits<float>::quiet_NaN() : 0.0f;
        ForBestIsa([=] {
          for (int64_t i = 0; i < count; ++i) {
            const float code = Clamp(std::floor(src[i] / scale + 0.5f), lo, hi);
            dst[i] = hi == 0 ? poison : code * scale;
          }
        });
        return absl::OkStatus();
      });
}

}  // namespace

LsqRange LsqRangeOf(const FormatProto& proto) {
  const int level = proto.lsq().level();
  if (!proto.lsq().sym()) return {0, level - 1};
  const bool odd = level % 2 != 0;
  if (odd && proto.semantics() == FormatProto::EXACT) return {-(level - 1) / 2, (level - 1) / 2};
  return {-(level + 1) / 2, level / 2 - 1};
}

bool HasLearnedStep(const FormatProto& proto) {
  return proto.has_lsq() && proto.lsq().level() < kIdentityLevel;
}

float LsqScaleGradient(const FormatProto& proto, absl::Span<const float> src,
                       absl::Span<const float> diff_dst) {
  if (proto.lsq().level() >= kIdentityLevel || src.empty()) return 0;
  const LsqRange range = LsqRangeOf(proto);
  const double scale = ScaleOf(proto);
  double sum = 0;
  for (size_t i = 0; i < src.size(); ++i) {
    const double v = src[i] / scale;
    const double code =
        proto.semantics() == FormatProto::EXACT ? std::nearbyint(v) : std::floor(v + 0.5);
    sum += diff_dst[i] * (code < range.lo ? range.lo : code > range.hi ? range.hi : code - v);
  }
  return static_cast<float>(sum / std::sqrt(range.hi * static_cast<double>(src.size())));
}

const Family& LsqFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kLsq,
      .name = kName,
      .class_suffix = "LSQInteger",
      .summary = "learned step size: clamp(round(x / scale)) * scale",
      .example = "lsq { level: 16 sym: true scale: 0.5 }",
      .aliases = kAliases,
      .parameters = kParameters,
      .create = Create,
      .learned = kLearned,
  };
  return kFamily;
}

}  // namespace mase
