// Family `minifloat`: the element codec of MASE's mxfp, softmax, SiLU, RoPE and RMSNorm.
//
//   bias = 2^(exponent_width - 1) - 1; hidden bit and gradual underflow as in minifloat_ieee.
//   is_finite: every code is a number; else the top exponent code is Inf and NaN.
//
// REFERENCE builds the code from the float's fields: the low 8 fraction bits are dropped, the rest
// is rounded and or-ed into the code, so that a carry is lost where the exponent code is odd.
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/codec.h"
#include "mase/format/family.h"
#include "mase/format/grid_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "minifloat";
constexpr FamilyParameter kParameters[] = {
    {"exponent_width", FamilyParameter::kRequired, true},
    {"frac_width", FamilyParameter::kRequired, true},
    {"is_finite", FamilyParameter::kOptional, true},
    {"round_mode", FamilyParameter::kOptional, true},
};

absl::StatusOr<FormatProto::Rounding> ParseRoundMode(const std::string& mode) {
  if (mode == "rn") return FormatProto::NEAREST_EVEN;
  if (mode == "rd" || mode == "rz") return FormatProto::TOWARD_ZERO;
  if (mode == "ru") return FormatProto::AWAY_FROM_ZERO;
  return absl::InvalidArgumentError(
      absl::StrCat(kName, ": round_mode '", mode, "', allowed rn, rd, ru, rz"));
}

reference::CodecRounding CodecRoundingOf(const std::string& mode) {
  using enum reference::CodecRounding;
  return mode == "rz" ? kCut : mode == "rd" ? kFloor : mode == "ru" ? kCeil : kNearest;
}

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const MinifloatFormat& codec = proto.minifloat();
  const int exponent_width = codec.exponent_width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 1, 8));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "frac_width", codec.frac_width(), 1, 15 - exponent_width));
  MASE_ASSIGN_OR_RETURN(const FormatProto::Rounding rounding, ParseRoundMode(codec.round_mode()));
  const bool finite = codec.is_finite();
  MASE_RETURN_IF_ERROR(
      CheckPolicies(kName, proto, {.rounding = true, .stochastic = true, .to_infinity = !finite}));
  // Inf and NaN take one exponent code; one more is needed for the zero.
  if (!finite) MASE_RETURN_IF_ERROR(CheckRange(kName, "exponent_width", exponent_width, 2, 8));
  const Grid grid = Grid::Float(exponent_width, codec.frac_width(), (1 << (exponent_width - 1)) - 1,
                                finite ? Grid::Specials::kNone : Grid::Specials::kIeee);
  if (proto.semantics() == FormatProto::EXACT) {
    return std::make_unique<GridFormat>(proto, grid, Policy::Of(proto, rounding));
  }
  const auto make = [&]<bool kFinite>(std::bool_constant<kFinite>) {
    return MakeReferenceElementFormat(
        proto, grid,
        reference::Codec<kFinite>(CodecRoundingOf(codec.round_mode()), exponent_width,
                                  codec.frac_width()));
  };
  return finite ? make(std::true_type()) : make(std::false_type());
}

}  // namespace

const Family& MinifloatFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kMinifloat,
      .name = kName,
      .class_suffix = "Minifloat",
      .summary = "small floats with a choice of rounding, with or without Inf and NaN",
      .example = "minifloat { exponent_width: 4 frac_width: 3 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
      .kind = FormatKind::kFloatingPoint,
  };
  return kFamily;
}

}  // namespace mase
