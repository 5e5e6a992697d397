#include "plugins/compare_formats/fit_range.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "mase/base/status_macros.h"
#include "mase/format/format.h"

namespace mase::plugins::compare_formats {
namespace {

// Far from the ends of float32, so that no fitted parameter leaves its own range.
float Magnitude(const Range& range) { return std::clamp(range.magnitude(), 0x1p-60f, 0x1p60f); }

// How many binades the format's end may come down and still cover the range.
absl::StatusOr<int> SpareBinades(const FormatProto& format, const Range& range) {
  MASE_ASSIGN_OR_RETURN(const auto created, Format::Create(format));
  const double ratio = created->highest() / Magnitude(range);
  return ratio > 0 ? std::ilogb(ratio) : 0;  // One signed bit has nothing above zero.
}

// An end at 2^(width - frac_width).
template <typename Family>
absl::Status FitFraction(FormatProto* format, Family* family, const Range& range) {
  family->set_frac_width(0);
  MASE_ASSIGN_OR_RETURN(const int spare, SpareBinades(*format, range));
  family->set_frac_width(spare);
  return absl::OkStatus();
}

// An end at 2^(something - exponent_bias).
template <typename Family>
absl::Status FitBias(FormatProto* format, Family* family, int default_bias, const Range& range) {
  MASE_ASSIGN_OR_RETURN(const int spare, SpareBinades(*format, range));
  family->set_exponent_bias(default_bias + spare);
  return absl::OkStatus();
}

int IeeeBias(int exponent_width) { return (1 << (exponent_width - 1)) - 1; }

// All codes between the range's ends, zero among them.
absl::Status FitAffine(AffineFormat* affine, const Range& range) {
  const double codes = std::ldexp(1.0, affine->width()) - 1;
  const double low = std::min(range.lowest, 0.0f), high = std::max(range.highest, 0.0f);
  const float scale = high > low ? static_cast<float>((high - low) / codes) : 1.0f;
  const bool is_signed = !affine->has_is_signed() || affine->is_signed();
  const double lowest_code = is_signed ? -(codes + 1) / 2 : 0;
  affine->add_scale(scale);
  affine->add_zero_point(static_cast<int>(lowest_code + std::nearbyint(-low / scale)));
  return absl::OkStatus();
}

absl::Status FitScale(FormatProto* format, const Range& range) {
  MASE_ASSIGN_OR_RETURN(const auto created, Format::Create(*format));
  const double highest = created->highest();
  if (highest > 0) format->mutable_lsq()->set_scale(static_cast<float>(Magnitude(range) / highest));
  return absl::OkStatus();
}

absl::Status Fit(FormatProto* format, const Range& range) {
  switch (format->family_case()) {
    case FormatProto::kInteger:
      if (format->integer().has_frac_width()) break;
      return FitFraction(format, format->mutable_integer(), range);
    case FormatProto::kLogicnets:
      if (format->logicnets().has_frac_width()) break;
      return FitFraction(format, format->mutable_logicnets(), range);
    case FormatProto::kFlexround:
      if (!format->flexround().has_width() || format->flexround().has_frac_width()) break;
      return FitFraction(format, format->mutable_flexround(), range);
    case FormatProto::kMinifloatIeee:
      if (format->minifloat_ieee().has_exponent_bias()) break;
      return FitBias(format, format->mutable_minifloat_ieee(),
                     IeeeBias(format->minifloat_ieee().exponent_width()), range);
    case FormatProto::kMinifloatDenorm:
      if (format->minifloat_denorm().has_exponent_bias()) break;
      return FitBias(format, format->mutable_minifloat_denorm(),
                     IeeeBias(format->minifloat_denorm().exponent_width()), range);
    case FormatProto::kLog:
      if (format->log().has_exponent_bias()) break;
      return FitBias(format, format->mutable_log(), IeeeBias(format->log().width() - 1), range);
    case FormatProto::kLsq:
      if (format->lsq().has_scale()) break;
      return FitScale(format, range);
    case FormatProto::kAffine:
      if (!format->affine().scale().empty()) break;
      return FitAffine(format->mutable_affine(), range);
    default:
      break;
  }
  return absl::OkStatus();
}

}  // namespace

Range RangeOf(absl::Span<const float> values) {
  Range range;
  bool is_first = true;
  for (const float x : values) {
    if (!std::isfinite(x)) continue;
    range.lowest = is_first ? x : std::min(range.lowest, x);
    range.highest = is_first ? x : std::max(range.highest, x);
    is_first = false;
  }
  return range;
}

absl::StatusOr<FormatProto> FitToRange(FormatProto format, const Range& range) {
  MASE_RETURN_IF_ERROR(Fit(&format, range));
  MASE_RETURN_IF_ERROR(Format::Create(format).status());
  return format;
}

}  // namespace mase::plugins::compare_formats
