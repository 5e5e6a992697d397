#include "mase/calibrate/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "mase/base/status_macros.h"
#include "mase/format/format.h"

namespace mase {
namespace {

// The smallest e with 2^e >= x > 0.
int CeilLog2(double x) {
  int e;
  return std::frexp(x, &e) == 0.5 ? e - 1 : e;
}

// A parameter p of a family whose values are some set times 2^-p.
bool HasExponent(const FormatProto& format) {
  switch (format.family_case()) {
    case FormatProto::kLogicnets:
    case FormatProto::kMinifloatIeee:
    case FormatProto::kMinifloatDenorm:
    case FormatProto::kLog:
      return true;
    case FormatProto::kFlexround:
      return format.flexround().has_width() && !format.flexround().has_s1_init();
    default:
      return false;
  }
}

void SetExponent(int p, FormatProto* format) {
  switch (format->family_case()) {
    case FormatProto::kLogicnets:
      return format->mutable_logicnets()->set_frac_width(p);
    case FormatProto::kMinifloatIeee:
      return format->mutable_minifloat_ieee()->set_exponent_bias(p);
    case FormatProto::kMinifloatDenorm:
      return format->mutable_minifloat_denorm()->set_exponent_bias(p);
    case FormatProto::kLog:
      return format->mutable_log()->set_exponent_bias(p);
    case FormatProto::kFlexround:
      return format->mutable_flexround()->set_frac_width(p);
    default:
      return;
  }
}

// How far beyond [lowest, highest] the range goes; at most 1: it is held.
double Excess(const Format& format, Range range) {
  double excess = 0;
  if (range.hi > 0 && format.highest() > 0) excess = std::max(excess, range.hi / format.highest());
  if (range.lo < 0 && format.lowest() < 0) excess = std::max(excess, range.lo / format.lowest());
  // A side that the format lacks saturates whatever the scale.
  return excess > 0 ? excess : 1;
}

// The largest parameter at which the range is held. The ends of the range of values that differ by
// 2^-p do too, so the first guess is right unless float32 or the family ends before.
absl::StatusOr<FormatProto> FitExponent(FormatProto format, Range range) {
  SetExponent(0, &format);
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<const Format> at, Format::Create(format));
  int p = 0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const int next = p - CeilLog2(Excess(*at, range));
    if (next == p) break;
    // Towards what the family allows, where that is not it.
    for (p = next;; p += p > 0 ? -1 : 1) {
      SetExponent(p, &format);
      if (auto created = Format::Create(format); created.ok() || p == 0) {
        MASE_RETURN_IF_ERROR(created.status());
        at = *std::move(created);
        break;
      }
    }
    if (p != next) break;
  }
  return format;
}

absl::StatusOr<FormatProto> FitLsq(FormatProto format, Range range) {
  format.mutable_lsq()->set_scale(1);
  MASE_ASSIGN_OR_RETURN(const auto unit, Format::Create(format));
  if (unit->code_bits() == 0) return format;  // The identity.
  format.mutable_lsq()->set_scale(
      std::max(static_cast<float>(Excess(*unit, range)), std::numeric_limits<float>::min()));
  return format;
}

struct FixedPoint {
  int width;
  bool is_signed;
};

FixedPoint FixedPointOf(const FormatProto& format) {
  if (format.has_affine()) {
    return {format.affine().width(),
            !format.affine().has_is_signed() || format.affine().is_signed()};
  }
  return {format.integer().width(),
          !format.integer().has_is_signed() || format.integer().is_signed()};
}

}  // namespace

bool IsFixedPoint(const FormatProto& format) { return format.has_integer() || format.has_affine(); }

bool CanFit(const FormatProto& format) {
  return IsFixedPoint(format) || HasExponent(format) || format.has_lsq();
}

bool HasFit(const FormatProto& format) {
  switch (format.family_case()) {
    case FormatProto::kInteger:
      return format.integer().has_frac_width();
    case FormatProto::kAffine:
      return !format.affine().scale().empty();
    case FormatProto::kLogicnets:
      return format.logicnets().has_frac_width();
    case FormatProto::kFlexround:
      return format.flexround().has_frac_width() || format.flexround().has_s1_init();
    case FormatProto::kMinifloatIeee:
      return format.minifloat_ieee().has_exponent_bias();
    case FormatProto::kMinifloatDenorm:
      return format.minifloat_denorm().has_exponent_bias();
    case FormatProto::kLog:
      return format.log().has_exponent_bias();
    case FormatProto::kLsq:
      return format.lsq().has_scale();
    default:
      return false;
  }
}

AffineFit FitAffine(const FormatProto& format, Range range, const FitOptions& options) {
  const FixedPoint fixed = FixedPointOf(format);
  const double lo = fixed.is_signed ? -std::ldexp(1.0, fixed.width - 1) : 0;
  const double hi = lo + std::ldexp(1.0, fixed.width) - 1;
  double scale;
  if (options.symmetric) {
    // Of unsigned codes only the positive end counts; without one every value is 0 at any scale.
    const double largest = std::max(std::fabs(range.lo), std::fabs(range.hi));
    scale = fixed.is_signed ? largest / ((hi - lo) / 2) : (range.hi > 0 ? range.hi : largest) / hi;
  } else {
    scale = (std::max(range.hi, 0.0) - std::min(range.lo, 0.0)) / (hi - lo);
  }
  if (!options.float_scale) {
    // What `integer` allows: both ends of the codes and the step are normal float32 numbers.
    scale = std::ldexp(1.0, std::clamp(CeilLog2(scale), -126, 127 - fixed.width));
  }
  AffineFit fit;
  fit.scale = static_cast<float>(
      std::clamp<double>(scale, std::numeric_limits<float>::min(), 0x1p126 / (hi - lo)));
  fit.lo = lo;
  fit.hi = hi;
  if (!options.symmetric) {
    fit.zero_point = static_cast<int32_t>(
        std::clamp(lo - std::nearbyint(std::min(range.lo, 0.0) / double{fit.scale}), lo, hi));
  }
  return fit;
}

absl::StatusOr<FormatProto> FitToRange(const FormatProto& format, Range range,
                                       const FitOptions& options) {
  if (HasExponent(format)) return FitExponent(format, range);
  if (format.has_lsq()) return FitLsq(format, range);
  const AffineFit fit = FitAffine(format, range, options);
  const FixedPoint fixed = FixedPointOf(format);
  FormatProto fitted = format;
  if (!options.affine && !options.float_scale && options.symmetric) {
    IntegerFormat& integer = *fitted.mutable_integer();
    integer.set_width(fixed.width);
    if (!fixed.is_signed) integer.set_is_signed(false);
    integer.set_frac_width(-std::ilogb(fit.scale));
  } else {
    fitted.clear_affine();
    AffineFormat& affine = *fitted.mutable_affine();
    affine.set_width(fixed.width);
    if (!fixed.is_signed) affine.set_is_signed(false);
    affine.add_scale(fit.scale);
    if (!options.symmetric) affine.add_zero_point(fit.zero_point);
  }
  MASE_RETURN_IF_ERROR(Format::Create(fitted).status());
  return fitted;
}

FormatProto JoinBlocks(absl::Span<const FormatProto> blocks, absl::Span<const int64_t> block_size) {
  FormatProto joined = blocks[0];
  AffineFormat& affine = *joined.mutable_affine();
  for (const FormatProto& block : blocks.subspan(1)) {
    affine.mutable_scale()->MergeFrom(block.affine().scale());
    affine.mutable_zero_point()->MergeFrom(block.affine().zero_point());
  }
  affine.clear_block_size();
  for (int64_t extent : block_size) affine.add_block_size(static_cast<int32_t>(extent));
  return joined;
}

}  // namespace mase
