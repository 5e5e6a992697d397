#include "mase/format/grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "glog/logging.h"
#include "mase/base/mix64.h"

namespace mase {
namespace {

constexpr double kFloatMax = std::numeric_limits<float>::max();

// Exponent e of 2^e <= |x| < 2^(e+1).
int FloorLog2(double x) { return std::ilogb(x); }

// The largest float32 value that is not above `x` >= 0.
double FloatBelow(double x) {
  const float nearest = static_cast<float>(x);
  return nearest <= x ? nearest : std::nextafterf(nearest, 0.0f);
}

// The largest m * 2^e with `mantissa_bits` that float32 still has.
double ClipToFloat(double highest, int mantissa_bits) {
  return std::min(highest, std::ldexp(2.0 - std::ldexp(1.0, -mantissa_bits), 127));
}

// Whether `rounding` takes a value of this sign away from zero.
bool RoundsAway(FormatProto::Rounding rounding, bool negative) {
  return rounding == FormatProto::AWAY_FROM_ZERO ||
         rounding == (negative ? FormatProto::FLOOR : FormatProto::CEILING);
}
bool RoundsToZero(FormatProto::Rounding rounding, bool negative) {
  return rounding == FormatProto::TOWARD_ZERO ||
         rounding == (negative ? FormatProto::CEILING : FormatProto::FLOOR);
}

// The power of two for a positive finite magnitude, as its exponent. Nearest means nearest in the
// exponent: the boundary is sqrt(2), which no float is, so there are no ties.
int RoundExponent(double magnitude, FormatProto::Rounding rounding, bool negative, double uniform) {
  const int floor = FloorLog2(magnitude);
  const double m = std::ldexp(magnitude, -floor);
  if (m == 1) return floor;
  if (RoundsToZero(rounding, negative)) return floor;
  if (RoundsAway(rounding, negative)) return floor + 1;
  if (rounding == FormatProto::STOCHASTIC) return floor + (uniform < std::log2(m) ? 1 : 0);
  return floor + (m * m > 2 ? 1 : 0);
}

// `x` rounded to the grid's steps as if it had no end.
double RoundUnbounded(const Grid& grid, double x, const Policy& policy, double uniform) {
  if (std::isinf(x)) return x;
  int step = grid.step_exponent;
  if (grid.kind == Grid::Kind::kFloat && x != 0) {
    step = std::max(step, FloorLog2(x) - grid.mantissa_bits);
  }
  return std::ldexp(RoundToInteger(std::ldexp(x, -step), policy.rounding, uniform), step);
}

double Wrap(const Grid& grid, double value) {
  if (std::isinf(value)) return std::numeric_limits<double>::quiet_NaN();
  const double span = std::ldexp(1.0, grid.bits + grid.step_exponent);
  return value - span * std::floor((value - grid.lowest) / span);
}

float QuantizePower(const Grid& grid, float x, const Policy& policy, double uniform) {
  const double magnitude = std::min<double>(std::fabs(x), kFloatMax);
  const bool negative = std::signbit(x) && x != 0;
  if (grid.has_zero && magnitude <= std::ldexp(1.0, grid.min_exponent - 1)) {
    return std::copysign(0.0f, x);
  }
  int exponent = grid.min_exponent;
  if (magnitude > 0) {
    exponent = std::clamp(RoundExponent(magnitude, policy.rounding, negative, uniform),
                          grid.min_exponent, grid.max_exponent);
  }
  return static_cast<float>(std::ldexp(negative ? -1.0 : 1.0, exponent));
}

}  // namespace

Policy Policy::Of(const FormatProto& proto, FormatProto::Rounding family_rounding) {
  Policy policy;
  policy.rounding =
      proto.rounding() == FormatProto::ROUNDING_DEFAULT ? family_rounding : proto.rounding();
  policy.overflow = proto.overflow();
  return policy;
}

Grid Grid::TwosComplement(int width, bool is_signed, int step_exponent) {
  Grid grid;
  grid.bits = width;
  grid.step_exponent = step_exponent;
  const double codes = std::ldexp(1.0, width);
  const double highest = is_signed ? codes / 2 - 1 : codes - 1;
  grid.lowest = is_signed ? -std::ldexp(codes / 2, step_exponent) : 0;
  // Above 24 bits float32 does not have the highest code.
  grid.highest = FloatBelow(std::ldexp(highest, step_exponent));
  return grid;
}

Grid Grid::SignMagnitude(int width, int step_exponent) {
  Grid grid;
  grid.bits = width;
  grid.sign_magnitude = true;
  grid.step_exponent = step_exponent;
  grid.highest = std::ldexp(std::ldexp(1.0, width - 1) - 1, step_exponent);
  grid.lowest = -grid.highest;
  return grid;
}

Grid Grid::Float(int exponent_width, int mantissa_bits, int bias, Specials specials) {
  Grid grid;
  grid.kind = Kind::kFloat;
  grid.bits = 1 + exponent_width + mantissa_bits;
  grid.mantissa_bits = mantissa_bits;
  grid.min_exponent = 1 - bias;
  grid.step_exponent = grid.min_exponent - mantissa_bits;
  grid.specials = specials;
  int top = (1 << exponent_width) - 1 - bias;
  double mantissa = 2 - std::ldexp(1.0, -mantissa_bits);
  if (specials == Specials::kIeee) --top;
  if (specials == Specials::kNanOnly) mantissa -= std::ldexp(1.0, -mantissa_bits);
  grid.highest = std::ldexp(mantissa, top);
  grid.lowest = -grid.highest;
  return grid;
}

Grid Grid::FloatExplicitOne(int exponent_width, int mantissa_bits, int bias) {
  // 0.1xxx * 2^e is 1.xxx * 2^(e-1): one mantissa bit fewer, and exponents one lower.
  Grid grid;
  grid.kind = Kind::kFloat;
  grid.bits = 1 + exponent_width + mantissa_bits;
  grid.mantissa_bits = mantissa_bits - 1;
  grid.min_exponent = -bias - 1;
  grid.step_exponent = -bias - mantissa_bits;
  grid.explicit_one = true;
  const int top = (1 << exponent_width) - 1 - bias;
  grid.highest = std::ldexp(1 - std::ldexp(1.0, -mantissa_bits), top);
  grid.lowest = -grid.highest;
  return grid;
}

Grid Grid::Power(int width, int bias, bool has_zero) {
  Grid grid;
  grid.kind = Kind::kPower;
  grid.bits = width;
  grid.has_zero = has_zero;
  grid.min_exponent = -bias + (has_zero ? 1 : 0);
  grid.max_exponent = (1 << (width - 1)) - 1 - bias;
  grid.highest = std::ldexp(1.0, grid.max_exponent);
  grid.lowest = -grid.highest;
  return grid;
}

Grid Grid::Shifted(int exponent) const {
  Grid grid = *this;
  grid.step_exponent += exponent;
  grid.min_exponent += exponent;
  grid.max_exponent = std::min(grid.max_exponent + exponent, 127);
  grid.lowest = std::ldexp(lowest, exponent);
  grid.highest = std::ldexp(highest, exponent);
  if (kind == Kind::kInteger && grid.lowest < -kFloatMax) {
    grid.lowest = -grid.highest;  // Two's complement has -2^128 before it has +2^128.
  } else if (kind == Kind::kFloat) {
    grid.highest = ClipToFloat(grid.highest, mantissa_bits);
    grid.lowest = -grid.highest;
  } else if (kind == Kind::kPower) {
    grid.highest = std::ldexp(1.0, grid.max_exponent);
    grid.lowest = -grid.highest;
  }
  return grid;
}

float Grid::Quantize(float x, const Policy& policy, double uniform) const {
  if (std::isnan(x)) return x;
  if (kind == Kind::kPower) return QuantizePower(*this, x, policy, uniform);
  double q = RoundUnbounded(*this, x, policy, uniform);
  if (policy.overflow == FormatProto::WRAP) {
    q = Wrap(*this, q);
  } else if (q > highest || q < lowest) {
    const bool negative = q < 0;
    // IEEE: modes that round towards zero stop at the largest finite value.
    const bool to_infinity = policy.overflow == FormatProto::TO_INFINITY &&
                             (std::isinf(x) || !RoundsToZero(policy.rounding, negative));
    if (to_infinity && specials == Specials::kNanOnly) {
      return std::numeric_limits<float>::quiet_NaN();
    }
    const double end = to_infinity ? std::numeric_limits<double>::infinity() : highest;
    q = negative ? (to_infinity ? -end : lowest) : end;
  }
  if (kind == Kind::kInteger && !sign_magnitude) return static_cast<float>(q) + 0.0f;
  return std::copysign(static_cast<float>(q), x);
}

bool Grid::Saturates(float x, const Policy& policy) const {
  if (std::isnan(x)) return false;
  if (kind == Kind::kPower) {
    const double magnitude = std::min<double>(std::fabs(x), kFloatMax);
    return magnitude > 0 && RoundExponent(magnitude, policy.rounding, x < 0, 0.5) > max_exponent;
  }
  const double q = RoundUnbounded(*this, x, policy, 0.5);
  return q > highest || q < lowest;
}

std::optional<uint32_t> Grid::Code(float value) const {
  const uint32_t sign = std::signbit(value) ? 1u << (bits - 1) : 0;
  const double magnitude = std::fabs(value);
  if (kind == Kind::kFloat && !std::isfinite(value)) {
    const uint32_t top = (1u << (bits - 1)) - 1;
    if (std::isnan(value) && specials != Specials::kNone) return top;
    if (std::isinf(value) && specials == Specials::kIeee) {
      return sign | (top & ~((1u << mantissa_bits) - 1));
    }
    return std::nullopt;
  }
  // An element that quantizes to itself is on the grid (NaN does so too, but has no code).
  if (std::isnan(value) || Quantize(value, Policy()) != value) return std::nullopt;
  switch (kind) {
    case Kind::kInteger: {
      if (sign_magnitude) {
        return sign | static_cast<uint32_t>(std::ldexp(magnitude, -step_exponent));
      }
      const int64_t code = static_cast<int64_t>(std::ldexp(value, -step_exponent));
      return static_cast<uint32_t>(code) & static_cast<uint32_t>((uint64_t{1} << bits) - 1);
    }
    case Kind::kFloat: {
      const int stored_bits = mantissa_bits + (explicit_one ? 1 : 0);
      const int exponent =
          magnitude == 0 ? min_exponent : std::max(min_exponent, FloorLog2(magnitude));
      uint32_t mantissa = static_cast<uint32_t>(std::ldexp(magnitude, mantissa_bits - exponent));
      uint32_t exponent_code = static_cast<uint32_t>(exponent - min_exponent);
      if (!explicit_one && mantissa >> mantissa_bits != 0) {
        mantissa -= 1u << mantissa_bits;
        ++exponent_code;
      }
      return sign | exponent_code << stored_bits | mantissa;
    }
    case Kind::kPower: {
      if (value == 0) return sign;
      return sign | static_cast<uint32_t>(FloorLog2(magnitude) - min_exponent + (has_zero ? 1 : 0));
    }
  }
  return std::nullopt;
}

float Grid::Value(uint32_t code) const {
  code &= static_cast<uint32_t>((uint64_t{1} << bits) - 1);
  const bool sign_bit = code >> (bits - 1) & 1;
  const uint32_t magnitude = code & ((1u << (bits - 1)) - 1);
  if (kind == Kind::kInteger && !sign_magnitude) {
    const int64_t value =
        lowest < 0 && sign_bit ? static_cast<int64_t>(code) - (int64_t{1} << bits) : code;
    return static_cast<float>(std::ldexp(static_cast<double>(value), step_exponent));
  }
  double result = 0;
  switch (kind) {
    case Kind::kInteger:
      result = std::ldexp(magnitude, step_exponent);
      break;
    case Kind::kFloat: {
      const int stored_bits = mantissa_bits + (explicit_one ? 1 : 0);
      const uint32_t exponent = magnitude >> stored_bits;
      const uint32_t mantissa = magnitude & ((1u << stored_bits) - 1);
      const uint32_t top = ((1u << (bits - 1)) - 1) >> stored_bits;
      if (specials == Specials::kIeee && exponent == top) {
        result = mantissa == 0 ? std::numeric_limits<double>::infinity()
                               : std::numeric_limits<double>::quiet_NaN();
      } else if (specials == Specials::kNanOnly && magnitude == (1u << (bits - 1)) - 1) {
        result = std::numeric_limits<double>::quiet_NaN();
      } else if (explicit_one) {
        result = std::ldexp(mantissa, step_exponent + static_cast<int>(exponent));
      } else if (exponent == 0) {
        result = std::ldexp(mantissa, step_exponent);
      } else {
        result = std::ldexp(mantissa + (1u << mantissa_bits),
                            step_exponent + static_cast<int>(exponent) - 1);
      }
      break;
    }
    case Kind::kPower:
      if (!has_zero || magnitude != 0) {
        result = std::ldexp(1.0, min_exponent + static_cast<int>(magnitude) - (has_zero ? 1 : 0));
      }
      break;
  }
  return static_cast<float>(sign_bit ? -result : result);
}

std::vector<float> Grid::Values() const {
  std::vector<float> values;
  if (bits > 16) return values;
  for (uint32_t code = 0; code < 1u << bits; ++code) {
    const float value = Value(code) + 0.0f;  // -0 becomes +0.
    if (std::isfinite(value) && value >= lowest) values.push_back(value);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

double Grid::Step() const {
  return std::ldexp(1.0, kind == Kind::kPower ? min_exponent : step_exponent);
}

double RoundToInteger(double value, FormatProto::Rounding rounding, double uniform) {
  switch (rounding) {
    case FormatProto::NEAREST_AWAY:
      return std::round(value);
    case FormatProto::FLOOR:
      return std::floor(value);
    case FormatProto::CEILING:
      return std::ceil(value);
    case FormatProto::TOWARD_ZERO:
      return std::trunc(value);
    case FormatProto::AWAY_FROM_ZERO:
      return std::copysign(std::ceil(std::fabs(value)), value);
    case FormatProto::STOCHASTIC: {
      const double floor = std::floor(value);
      return floor + (uniform < value - floor ? 1 : 0);
    }
    default:
      return std::nearbyint(value);
  }
}

double UniformAt(uint64_t seed, uint64_t index) {
  return static_cast<double>(Mix64(StreamSeed(seed, 0) + (index + 1) * kGolden64) >> 11) * 0x1p-53;
}

}  // namespace mase
