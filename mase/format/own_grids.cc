#include "mase/format/own_grids.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/grid_ops.h"

namespace mase {
namespace {

constexpr char kTensor[] = "tensor";
constexpr char kChannel[] = "channel";
constexpr char kWeight[] = "weight";
constexpr int kMostBits = 24;  // float32 has them all.

// What all grids of a tensor have in common.
struct GridFamily {
  explicit GridFamily(const FormatProto& proto) {
    const IntegerFormat integer = WithDefaults(proto).integer();
    is_signed = integer.is_signed();
    magnitude_bits_in_front = integer.width() - integer.frac_width() - (is_signed ? 1 : 0);
    const int most = integer.has_most_width() ? integer.most_width() : integer.width();
    range = {static_cast<float>(-magnitude_bits_in_front),
             static_cast<float>(most - (is_signed ? 1 : 0) - magnitude_bits_in_front)};
  }

  bool is_signed;
  int magnitude_bits_in_front;
  FracWidthRange range;
};

// The grid of one number f.
struct OwnGrid {
  OwnGrid(const GridFamily& family, float frac_width) {
    const int whole = static_cast<int>(
        std::nearbyint(std::clamp(frac_width, family.range.lowest, family.range.highest)));
    const int bits = family.magnitude_bits_in_front + whole;
    scale = PowerOfTwo(whole);
    step = PowerOfTwo(-whole);
    highest = std::ldexp(1.0f, bits) - 1;
    lowest = family.is_signed && bits > 0 ? -highest - 1 : 0;
  }

  float scale, step, lowest, highest;
};

}  // namespace

bool HasOwnGrids(const FormatProto& proto) {
  return proto.has_integer() && (proto.integer().learned_width() == kChannel ||
                                 proto.integer().learned_width() == kWeight);
}

Shape OwnGridsShape(const FormatProto& proto, const Shape& shape) {
  if (proto.integer().learned_width() == kWeight) return shape;
  return {shape.rank() == 0 ? 1 : shape.dim(0)};
}

FracWidthRange OwnGridRange(const FormatProto& proto) { return GridFamily(proto).range; }

absl::Status RoundToOwnGrids(const FormatProto& proto, absl::Span<const float> frac_widths,
                             absl::Span<const float> src, absl::Span<float> dst) {
  const GridFamily family(proto);
  if (src.empty()) return absl::OkStatus();
  const size_t shared = src.size() / frac_widths.size();
  for (size_t i = 0; i < frac_widths.size(); ++i) {
    if (!std::isfinite(frac_widths[i])) {
      return absl::InvalidArgumentError("integer: a learned width is no finite number");
    }
    const OwnGrid grid(family, frac_widths[i]);
    for (size_t j = i * shared; j < (i + 1) * shared; ++j) {
      const float code = Clamp(std::rint(src[j] * grid.scale), grid.lowest, grid.highest);
      dst[j] = code * grid.step + 0.0f;  // A code knows one zero.
    }
  }
  return absl::OkStatus();
}

void OwnGridsGradient(const FormatProto& proto, absl::Span<const float> frac_widths,
                      absl::Span<const float> src, const float* diff_dst, float* diff_src,
                      absl::Span<float> diff_frac_widths) {
  const GridFamily family(proto);
  const bool stops = proto.gradient() == FormatProto::CLAMP_AWARE;
  const size_t shared = src.empty() ? 0 : src.size() / frac_widths.size();
  for (size_t i = 0; i < frac_widths.size(); ++i) {
    const OwnGrid grid(family, frac_widths[i]);
    const bool pruned = grid.highest == 0;  // The error is all of the value.
    double sum = 0;
    for (size_t j = i * shared; j < (i + 1) * shared; ++j) {
      const float scaled = src[j] * grid.scale;
      const float code = std::rint(scaled);
      const bool below = code<grid.lowest, above = code> grid.highest;
      sum += diff_dst[j] * (pruned ? scaled : below ? 0 : above ? 1 : scaled - code);
      if (diff_src != nullptr) diff_src[j] = stops && (below || above) ? 0 : diff_dst[j];
    }
    diff_frac_widths[i] = static_cast<float>(sum * grid.step * M_LN2);
  }
}

void SetCoveringGrid(absl::Span<const float> values, FormatProto& proto) {
  const GridFamily family(proto);
  const int sign = family.is_signed ? 1 : 0;
  IntegerFormat& integer = *proto.mutable_integer();
  const int most = static_cast<int>(family.range.highest);
  int least = 1 - family.magnitude_bits_in_front;
  const double scale = std::ldexp(1.0, most);
  for (const float value : values) {
    if (value == 0 || !std::isfinite(value)) continue;
    const auto code = static_cast<uint64_t>(std::abs(value) * scale);
    least = std::max(least, most - std::countr_zero(code));
  }
  integer.set_most_width(family.magnitude_bits_in_front + most + sign);
  integer.set_frac_width(least);
  integer.set_width(family.magnitude_bits_in_front + least + sign);
}

absl::Status CheckLearnedWidth(absl::string_view family, const FormatProto& proto) {
  const IntegerFormat& integer = proto.integer();
  if (!integer.has_learned_width()) return absl::OkStatus();
  const std::string& of = integer.learned_width();
  if (of != kTensor && of != kChannel && of != kWeight) {
    return absl::InvalidArgumentError(
        absl::StrCat(family, ": learned_width '", of, "', allowed tensor, channel, weight"));
  }
  // The gradient by the width is that of rounding to the nearest.
  MASE_RETURN_IF_ERROR(CheckPolicies(family, proto, {}));
  if (of == kTensor) {
    const FracWidthRange range = FracWidthRangeOf(proto);
    MASE_RETURN_IF_ERROR(
        CheckRange(family, "frac_width", integer.frac_width(), range.lowest, range.highest));
    return CheckRange(family, "trained_frac_width", TrainedFracWidth(proto),
                      integer.frac_width() - 0.5, integer.frac_width() + 0.5);
  }
  if (proto.semantics() == FormatProto::REFERENCE) {
    return absl::InvalidArgumentError(absl::StrCat(
        family, ": learned_width '", of, "' is for semantics EXACT alone; MASE has no such thing"));
  }
  MASE_RETURN_IF_ERROR(
      CheckRange(family, "width", integer.width(), integer.is_signed() ? 2 : 1, kMostBits));
  if (!integer.has_most_width()) return absl::OkStatus();
  return CheckRange(family, "most_width", integer.most_width(), integer.width(), kMostBits);
}

}  // namespace mase
