// Family `integer` (alias `fixed`): codes of `width` bits times 2^-frac_width.
//
//   q = clamp(round(x * 2^f), lo, hi) / 2^f
//
// REFERENCE differs in the sign of zero alone: it keeps the sign of what was rounded, where a
// two's complement code knows one zero. What training does with learned widths is in
// learned_width.h and own_grids.h.
#include <cmath>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"
#include "mase/format/grid_ops.h"
#include "mase/format/own_grids.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "integer";
constexpr absl::string_view kAliases[] = {"fixed", "integer_floor"};
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"frac_width", FamilyParameter::kOptional, true},
    {"is_signed", FamilyParameter::kOptional},
    {"floor", FamilyParameter::kOptional, false, "-"},
    {"learned_width", FamilyParameter::kOptional},
};
constexpr LearnedParameter kLearned[] = {{"bits after the point", "trained_frac_width"}};

template <bool kFloor>
struct ReferenceOp {
  float scale, lo, hi;

  float operator()(float x) const {
    const float code = kFloor ? std::floor(x * scale) : std::rint(x * scale);
    return Clamp(code, lo, hi) / scale;
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const IntegerFormat& integer = proto.integer();
  const int width = integer.width();
  const int frac_width = integer.frac_width();
  const bool is_signed = integer.is_signed();
  const bool wraps = proto.overflow() == FormatProto::WRAP;
  // float32 counts exactly up to 24 bits, and WRAP counts.
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", width, 1, wraps ? 24 : 32));
  // Both ends of the range and the step are normal float32 numbers.
  MASE_RETURN_IF_ERROR(CheckRange(kName, "frac_width", frac_width, width - 127, 126));
  MASE_RETURN_IF_ERROR(CheckPolicies(
      kName, proto, {.rounding = true, .stochastic = true, .wrap = true, .floor_reference = true}));
  MASE_RETURN_IF_ERROR(CheckLearnedWidth(kName, proto));
  const Grid grid = Grid::TwosComplement(width, is_signed, -frac_width);
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<GridFormat>(proto, grid, Policy::Of(proto));
  }
  const float scale = PowerOfTwo(frac_width);
  const float lo = is_signed ? -std::ldexp(1.0f, width - 1) : 0.0f;
  const float hi = static_cast<float>(std::ldexp(1.0, is_signed ? width - 1 : width) - 1);
  return proto.rounding() == FormatProto::FLOOR
             ? MakeReferenceElementFormat(proto, grid, ReferenceOp<true>{scale, lo, hi})
             : MakeReferenceElementFormat(proto, grid, ReferenceOp<false>{scale, lo, hi});
}

}  // namespace

const Family& IntegerFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kInteger,
      .name = kName,
      .class_suffix = "Integer",
      .summary = "fixed point: clamp(round(x * 2^frac_width)) / 2^frac_width",
      .example = "integer { width: 8 frac_width: 4 }",
      .aliases = kAliases,
      .parameters = kParameters,
      .create = Create,
      .learned = kLearned,
  };
  return kFamily;
}

}  // namespace mase
