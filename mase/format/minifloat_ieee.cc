// Family `minifloat_ieee`: hidden leading one, gradual underflow, the top exponent code used for
// ordinary numbers.
//
//   mb = width - exponent_width - 1
//   normal:    q = 2^e (1 + k / 2^mb),     1 - bias <= e <= 2^exponent_width - 1 - bias
//   subnormal: q = 2^(1 - bias) k / 2^mb
//
// REFERENCE clamps a mantissa that rounds up to 2^mb instead of carrying it (1.97 becomes 1.875
// where 2 exists).
#include <cmath>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"
#include "mase/format/reference_ops.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "minifloat_ieee";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"exponent_width", FamilyParameter::kRequired, true},
    {"exponent_bias", FamilyParameter::kOptional, true},
};

struct ReferenceOp {
  reference::MinifloatIeee op;
  BlockParams exponents;

  float operator()(float x) const { return op(x, exponents); }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MinifloatIeeeFormat& minifloat = proto.minifloat_ieee();
  const int exponent_width = minifloat.exponent_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 1, 8));
  // Without fraction bits EXACT would be `log`; MASE computes it.
  const int least_fraction = proto.semantics() == FormatProto::REFERENCE ? 0 : 1;
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", minifloat.width(),
                                  exponent_width + 1 + least_fraction, exponent_width + 24));
  const int mantissa_bits = minifloat.width() - exponent_width - 1;
  const int bias = minifloat.exponent_bias();
  // The smallest step, 2^(1 - bias - mantissa_bits), is a float32 number.
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_bias", bias, -126, 150 - mantissa_bits));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  const Grid grid = Grid::Float(exponent_width, mantissa_bits, bias);
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<GridFormat>(proto, grid, Policy::Of(proto));
  }
  return MakeReferenceElementFormat(
      proto, grid,
      ReferenceOp{
          {std::ldexp(1.0f, mantissa_bits)},
          {static_cast<float>(-bias), static_cast<float>((1 << exponent_width) - 1 - bias)}});
}

}  // namespace

const Family& MinifloatIeeeFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMinifloatIeee,
      .name = kName,
      .class_suffix = "MinifloatIEEE",
      .summary = "hidden bit, gradual underflow, no Inf or NaN",
      .example = "minifloat_ieee { width: 8 exponent_width: 4 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFloatingPoint,
  };
  return kFamily;
}

}  // namespace mase
