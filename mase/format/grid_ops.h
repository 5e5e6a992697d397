// The fast float32 path of Grid::Quantize: nearest-even (integers also floor) and saturation.
// Each operator takes one element and is plain arithmetic without branches, so that the loops
// around it vectorize (isa.h). They equal Grid::Quantize bit for bit; grid_test checks.
#ifndef MASE_FORMAT_GRID_OPS_H_
#define MASE_FORMAT_GRID_OPS_H_

#include <bit>
#include <cmath>
#include <cstdint>

#include "mase/format/grid.h"

namespace mase {

inline uint32_t Bits(float x) { return std::bit_cast<uint32_t>(x); }
inline float FromBits(uint32_t bits) { return std::bit_cast<float>(bits); }

// 2^e for -126 <= e <= 127.
inline float PowerOfTwo(int e) { return FromBits(static_cast<uint32_t>(e + 127) << 23); }

// min(max(x, lo), hi), NaN for NaN.
inline float Clamp(float x, float lo, float hi) {
  x = x < lo ? lo : x;
  return x > hi ? hi : x;
}

// Integers: clamp(round(x / step)) * step. The sign of zero is kept for sign-magnitude codes.
template <bool kFloor, bool kSignMagnitude>
struct IntegerOp {
  float scale, step, lo, hi;  // lo and hi in steps.

  explicit IntegerOp(const Grid& grid)
      : scale(PowerOfTwo(-grid.step_exponent)),
        step(PowerOfTwo(grid.step_exponent)),
        lo(static_cast<float>(grid.lowest * scale)),
        hi(static_cast<float>(grid.highest * scale)) {}

  float operator()(float x) const {
    const float scaled = x * scale;
    float code = kFloor ? std::floor(scaled) : std::rint(scaled);
    // A large step can flush a small negative value to -0, whose floor is no longer -1.
    if (kFloor) code = scaled == 0 && x < 0 ? -1.0f : code;
    code = Clamp(code, lo, hi) * step;
    return kSignMagnitude ? code : code + 0.0f;
  }
};

// Floats: the step of x's own binade, or of the smallest normal's. A carry into the next binade
// lands on one of its values by itself.
struct FloatOp {
  int min_biased, mantissa_bits;
  float hi;

  explicit FloatOp(const Grid& grid)
      : min_biased(grid.min_exponent + 127),
        mantissa_bits(grid.mantissa_bits),
        hi(static_cast<float>(grid.highest)) {}

  float operator()(float x) const {
    int biased = static_cast<int>(Bits(x) >> 23 & 255);
    biased = biased < min_biased ? min_biased : biased;
    const float scale = FromBits(static_cast<uint32_t>(254 + mantissa_bits - biased) << 23);
    const float step = FromBits(static_cast<uint32_t>(biased - mantissa_bits) << 23);
    return Clamp(std::rint(x * scale) * step, -hi, hi);
  }
};

// Powers of two: the exponent, one higher where the fraction is above sqrt(2).
struct PowerOp {
  int min_biased, max_biased;
  bool has_zero;
  float zero_below;  // Up to here a value becomes zero.

  explicit PowerOp(const Grid& grid)
      : min_biased(grid.min_exponent + 127),
        max_biased(grid.max_exponent + 127),
        has_zero(grid.has_zero),
        zero_below(PowerOfTwo(grid.min_exponent) * 0.5f) {}

  float operator()(float x) const {
    constexpr uint32_t kSqrt2Fraction = 0x3504F3;  // Of the largest float32 below sqrt(2).
    const uint32_t magnitude = Bits(x) & 0x7FFFFFFF;
    const uint32_t sign = Bits(x) & 0x80000000;
    int biased = static_cast<int>((magnitude + (0x7FFFFF - kSqrt2Fraction)) >> 23);
    biased = biased < min_biased ? min_biased : biased;
    biased = biased > max_biased ? max_biased : biased;
    uint32_t result = static_cast<uint32_t>(biased) << 23 | (magnitude == 0 && !has_zero ? 0 : sign);
    result = has_zero && FromBits(magnitude) <= zero_below ? sign : result;
    return magnitude > 0x7F800000 ? x : FromBits(result);
  }
};

// Whether the operators above serve `grid`: their scales and steps are normal float32 numbers.
inline bool HasFastOp(const Grid& grid) {
  switch (grid.kind) {
    case Grid::Kind::kInteger:
      return grid.step_exponent >= -126 && grid.step_exponent <= 126;
    case Grid::Kind::kFloat:
      return grid.step_exponent >= -126 && grid.min_exponent <= 127;
    case Grid::Kind::kPower:
      return grid.min_exponent >= -125;
  }
  return false;
}

// dst[i] = grid.Quantize(src[i]), by the fast operators where they serve. `src` may be `dst`.
// Element i draws UniformAt(seed, first_index + i).
void QuantizeOnGrid(const Grid& grid, const Policy& policy, const float* src, float* dst,
                    int64_t count, uint64_t seed, uint64_t first_index = 0);

}  // namespace mase

#endif  // MASE_FORMAT_GRID_OPS_H_
