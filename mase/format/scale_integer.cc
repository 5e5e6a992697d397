// Family `scale_integer`: integers with a float32 scale for every row of the last axis.
//
// EXACT: scale = m / hi with m the quantile (default: the maximum) of |x| in the row and codes
// -hi .. hi, so that the maximum is representable and zero stays zero.
// REFERENCE: S = 2^(width-1) / (m + 1e-9); the maximum becomes m (1 - 2^-(width-1)).
#include <cmath>
#include <limits>

#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/reference_block_format.h"
#include "mase/format/scaled_format.h"

namespace mase {
namespace {

constexpr absl::string_view kName = "scale_integer";
constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {"is_signed", FamilyParameter::kOptional},
    {"quantile", FamilyParameter::kOptional},
};

BlockLayout RowLayout(const Shape& shape) {
  return BlockLayout::AlongAxis(shape, shape.rank() - 1, -1);
}

struct Traits : ScaledTraits {
  double quantile = 1;

  static constexpr bool kScaleFromValues = true;
  BlockLayout Layout(const Shape& shape) const { return RowLayout(shape); }
  float Scale(const std::vector<float>& values) const {
    const float scale = static_cast<float>(Magnitude(values) / hi);
    // The highest code must not round up beyond float32.
    return scale * hi > std::numeric_limits<float>::max() ? std::nextafterf(scale, 0) : scale;
  }
  double Code(double x, double scale, double) const {
    const double code = std::nearbyint(x / scale);
    const double bounded = code < lo ? lo : code > hi ? hi : code;
    return scale == 0 && x == x ? 0 : bounded;
  }

 private:
  double Magnitude(const std::vector<float>& values) const {
    float maximum = 0;
    if (quantile == 1) {
      for (float x : values) maximum = FiniteMagnitude(x) > maximum ? FiniteMagnitude(x) : maximum;
      return maximum;
    }
    std::vector<float> sorted;
    for (float x : values) {
      if (!std::isnan(x)) sorted.push_back(FiniteMagnitude(x));
    }
    if (sorted.empty()) return 0;
    std::sort(sorted.begin(), sorted.end());
    const double position = quantile * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] +
           (double{sorted[above]} - sorted[below]) * (position - static_cast<double>(below));
  }
};

// The scale S.
struct ReferenceParams {
  float codes;  // 2^(width - 1), unsigned 2^width.

  BlockParams operator()(uint32_t max_bits) const {
    const float m = FromBits(max_bits) + 1e-9f;
    return {1 / m * codes, 0};
  }
};

struct ReferenceOp {
  float lo, hi;

  float operator()(float x, BlockParams params) const {
    return Clamp(std::rint(x * params.a), lo, hi) / params.a;
  }
};

absl::StatusOr<std::unique_ptr<const Format>> Create(const FormatProto& proto) {
  const ScaleIntegerFormat& integer = proto.scale_integer();
  const bool is_signed = integer.is_signed();
  const int width = integer.width();
  MASE_RETURN_IF_ERROR(CheckRange(kName, "width", width, is_signed ? 2 : 1, 24));
  MASE_RETURN_IF_ERROR(CheckRange(kName, "quantile", integer.quantile(), 1e-6, 1));
  Traits traits;
  traits.quantile = integer.quantile();
  MASE_RETURN_IF_ERROR(CheckPolicies(kName, proto, {}));
  traits.bits = width;
  traits.hi = std::ldexp(1.0, is_signed ? width - 1 : width) - 1;
  traits.lo = is_signed ? -traits.hi : 0;
  const float codes = std::ldexp(1.0f, is_signed ? width - 1 : width);
  const ReferenceOp op{is_signed ? -codes : 0, codes - 1};
  return MakeScaledFormat(
      proto, traits,
      [=](const float* src, float* dst, const Shape& shape, uint64_t) -> absl::Status {
        if (shape.rank() == 0) {
          return absl::InvalidArgumentError(
              absl::StrCat(kName, " with REFERENCE semantics: a scalar has no last axis"));
        }
        QuantizeReferenceBlocks(RowLayout(shape), ZeroBlocks::kStay, ReferenceParams{codes}, op,
                                src, dst);
        return absl::OkStatus();
      });
}

}  // namespace

const Family& ScaleIntegerFamily() {
  static constexpr Family kFamily = {
      .family_case = FormatProto::kScaleInteger,
      .name = kName,
      .class_suffix = "ScaleInteger",
      .summary = "integers with a float32 scale a row, set by the row's maximum",
      .example = "scale_integer { width: 8 }",
      .aliases = {},
      .parameters = kParameters,
      .create = Create,
  };
  return kFamily;
}

}  // namespace mase
