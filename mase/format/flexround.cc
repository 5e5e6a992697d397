// Family `flexround`: weights rounded to multiples of a learned step.
//
//   q = s1 * round(x / s1)
//
// with S2, s3 and s4 at their initial 1. EXACT: ties to even; with a frac_width the default s1 is
// 2^-frac_width, and with a width codes saturate. REFERENCE: floor(x / s1 + 0.5), s1 = 1 by
// default, no bounds and no gradient through the floor. MASE also rounds a FlexRound layer's
// *output* to integer width/frac_width (format integer), but not below ten elements or 1e-5.
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_ops.h"
#include "mase/format/scaled_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "flexround";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kOptional, true},
    {"frac_width", FamilyParameter::kOptional, true},
    {"s1_init", FamilyParameter::kOptional},
};

struct Traits : ScaledTraits {
  float scale = 1;

  float Scale(const std::vector<float>&) const { return scale; }
  double Code(double x, double s, double) const {
    const double code = std::nearbyint(x / s);
    return code < lo ? lo : code > hi ? hi : code;
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const FlexRoundFormat& flexround = proto.flexround();
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  if (flexround.has_frac_width()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "frac_width", flexround.frac_width(), -126, 126));
  }
  if (flexround.has_width()) {
    MASE_RETURN_IF_ERROR(CheckRange(kName, "width", flexround.width(), 1, 24));
  }
  const float scale = flexround.has_s1_init() ? flexround.s1_init()
                      : flexround.has_frac_width() && !reference
                          ? PowerOfTwo(-flexround.frac_width())
                          : 1.0f;
  MASE_RETURN_IF_ERROR(CheckRange(kName, "s1_init", scale, std::numeric_limits<float>::min(),
                                  std::numeric_limits<float>::max()));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  Traits traits;
  traits.scale = scale;
  traits.stores_scale = false;
  traits.has_codes = flexround.has_width() && !reference;
  traits.bits = traits.has_codes ? flexround.width() : 0;
  traits.hi = traits.has_codes ? std::ldexp(1.0, traits.bits - 1) - 1
                               : std::numeric_limits<double>::infinity();
  traits.lo = traits.has_codes ? -std::ldexp(1.0, traits.bits - 1) : -traits.hi;
  traits.gradient_factor = reference ? 0 : 1;
  return MakeScaledFormat(proto, traits,
                          [=](const float* src, float* dst, const Shape& shape, uint64_t) {
                            const int64_t count = shape.elements();
                            ForBestIsa([=] {
                              for (int64_t i = 0; i < count; ++i) {
                                dst[i] = std::floor(src[i] / scale + 0.5f) * scale;
                              }
                            });
                            return absl::OkStatus();
                          });
}

}  // namespace

const Family& FlexRoundFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kFlexround,
      .name = kName,
      .class_suffix = "FlexRound",
      .summary = "multiples of a learned step: s1 * round(x / s1)",
      .example = "flexround { s1_init: 0.0625 width: 8 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
  };
  return kFamily;
}

}  // namespace mase
