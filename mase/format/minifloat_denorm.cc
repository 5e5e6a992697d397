// Family `minifloat_denorm`: 0.mantissa * 2^e without a hidden bit, no Inf and NaN codes.
//
//   mb = width - exponent_width - 1;  -bias <= e <= 2^exponent_width - 1 - bias;  q = k / 2^mb *
//   2^e
//
// REFERENCE: e = ceil(log2 |x|), so powers of two and what rounds up to one saturate below it.
#include <cmath>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"
#include "mase/format/reference_ops.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "minifloat_denorm";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"exponent_width", FamilyParameter::kRequired, true},
    {"exponent_bias", FamilyParameter::kOptional, true},
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MinifloatDenormFormat& minifloat = proto.minifloat_denorm();
  const int exponent_width = minifloat.exponent_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 1, 8));
  // With one mantissa bit values are powers of two, without any they are zeros: MASE computes both.
  const int least_mantissa = proto.semantics() == FormatProto::REFERENCE ? 0 : 2;
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", minifloat.width(),
                                  exponent_width + 1 + least_mantissa, exponent_width + 24));
  const int mantissa_bits = minifloat.width() - exponent_width - 1;
  const int bias = minifloat.exponent_bias();
  // The smallest step, 2^(-bias - mantissa_bits), is a float32 number.
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_bias", bias, -126, 149 - mantissa_bits));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const Grid grid = Grid::FloatExplicitOne(exponent_width, mantissa_bits, bias);
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<GridFormat>(proto, grid, Policy::Of(proto));
  }
  return MakeReferenceElementFormat(
      proto, grid,
      reference::MinifloatDenorm{std::ldexp(1.0f, mantissa_bits), static_cast<float>(-bias),
                                 static_cast<float>((1 << exponent_width) - 1 - bias)});
}

}  // namespace

const Family& MinifloatDenormFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMinifloatDenorm,
      .name = kName,
      .class_suffix = "MinifloatDenorm",
      .summary = "0.mantissa * 2^exponent, no hidden bit, no Inf or NaN",
      .example = "minifloat_denorm { width: 8 exponent_width: 4 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFloatingPoint,
  };
  return kFamily;
}

}  // namespace mase
