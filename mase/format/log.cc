// Family `log`: +-2^e, width - 1 exponent bits.
//
//   bias = 2^(width - 2) - 1 by default;  -bias <= e <= 2^(width - 1) - 1 - bias
//
// Nearest means nearest in the exponent: between 2^n and 2^(n+1) the boundary is sqrt(2) * 2^n.
// EXACT takes the smallest exponent code for zero unless has_zero is false; the boundary to zero
// is half of the smallest power. REFERENCE has no zero: 0 becomes +2^-bias, and a tenth of that
// is added to every value before its sign and its logarithm are taken.
#include <cmath>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"
#include "mase/format/reference_ops.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "log";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"exponent_bias", FamilyParameter::kOptional, true},
};

struct ReferenceOp {
  float offset, min_exponent, max_exponent;

  float operator()(float x) const {
    return reference::LogAt(x, offset, min_exponent, max_exponent);
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const LogFormat& log = proto.log();
  const int width = log.width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", width, 2, 9));
  const int bias = log.exponent_bias();
  // The smallest power, 2^-bias, is a float32 number.
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_bias", bias, -126, 149));
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {.rounding = true, .stochastic = true}));
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<GridFormat>(proto, Grid::Power(width, bias, log.has_zero()),
                                        Policy::Of(proto));
  }
  const float lowest = static_cast<float>(-bias);
  const float highest = static_cast<float>((1 << (width - 1)) - 1 - bias);
  return MakeReferenceElementFormat(proto, Grid::Power(width, bias, false),
                                    ReferenceOp{reference::Exp2(lowest) * 0.1f, lowest, highest});
}

}  // namespace

const Family& LogFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kLog,
      .name = kName,
      .class_suffix = "Log",
      .summary = "signed powers of two",
      .example = "log { width: 8 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kPowersOfTwo,
  };
  return kFamily;
}

}  // namespace mase
