// The fast float32 path of Grid::Quantize: every rounding but STOCHASTIC, and saturation. Each
// operator takes one element and is plain arithmetic without branches, so that the loops around it
// vectorize (base/isa.h). They equal Grid::Quantize bit for bit; properties_test checks.
#ifndef MASE_FORMAT_GRID_OPS_H_
#define MASE_FORMAT_GRID_OPS_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "mase/base/isa.h"
#include "mase/format/grid.h"

namespace mase {

inline uint32_t Bits(float x) { return std::bit_cast<uint32_t>(x); }
inline float FromBits(uint32_t bits) { return std::bit_cast<float>(bits); }

// 2^e for -126 <= e <= 127.
inline float PowerOfTwo(int e) { return FromBits(static_cast<uint32_t>(e + 127) << 23); }

// Added to the bits of a positive float, it carries into the exponent from sqrt(2) on.
inline constexpr uint32_t kSqrt2Carry = 0x7FFFFF - 0x3504F3;

// min(max(x, lo), hi), NaN for NaN.
inline float Clamp(float x, float lo, float hi) {
  x = x < lo ? lo : x;
  return x > hi ? hi : x;
}

// What a block's maximum decides for its elements; what it means is up to the operator.
struct BlockParams {
  float a = 0, b = 0;
};

// std::rint and std::trunc, by the instruction that AVX2 and AVX-512 have for them. Run is
// ForBestIsa on machines that have it.
struct ByInstruction {
  template <typename Body>
  static void Run(const Body& body) {
    CurrentIsa() == Isa::kAvx512 ? RunAvx512(body) : RunAvx2(body);
  }
  static float Rint(float x) { return std::rint(x); }
  static float Trunc(float x) { return std::trunc(x); }
};

// The same where there is no such instruction, in operations that vectorize all the same: a float
// from 2^23 on has no fraction, so that adding 2^23 to a smaller one rounds it, ties to even.
struct BySum {
  template <typename Body>
  static void Run(const Body& body) {
    RunBaseline(body);
  }
  static float Rint(float x) {
    const float magnitude = std::fabs(x);
    const float whole = magnitude + 0x1p23f - 0x1p23f;
    return std::copysign(magnitude < 0x1p23f ? whole : magnitude, x);
  }
  static float Trunc(float x) {
    const float magnitude = std::fabs(x);
    const float whole = std::fabs(Rint(x));
    return std::copysign(whole > magnitude ? whole - 1 : whole, x);
  }
};

// Calls fn(whole) with the one of the two that serves this machine.
template <typename Fn>
void WithWhole(const Fn& fn) {
  CurrentIsa() == Isa::kBaseline ? fn(BySum()) : fn(ByInstruction());
}

// Ties to even.
template <typename WholeT>
struct RoundToEven {
  using Whole = WholeT;

  float operator()(float scaled, float) const { return Whole::Rint(scaled); }
};

// All other roundings: the magnitude goes up from a certain fraction on, which may depend on the
// sign. `scaled` is `x` in steps; a step that is so large that `scaled` is flushed to zero leaves
// `x` to tell that there was a fraction.
template <typename WholeT>
struct RoundBySign {
  using Whole = WholeT;

  float up_positive = 0, up_negative = 0;  // The least fraction that goes up.

  static RoundBySign Of(FormatProto::Rounding rounding) {
    constexpr float kAny = 0x1p-126f, kHalf = 0.5f, kNone = 2;
    switch (rounding) {
      case FormatProto::FLOOR:
        return {kNone, kAny};
      case FormatProto::CEILING:
        return {kAny, kNone};
      case FormatProto::TOWARD_ZERO:
        return {kNone, kNone};
      case FormatProto::AWAY_FROM_ZERO:
        return {kAny, kAny};
      default:
        return {kHalf, kHalf};  // NEAREST_AWAY.
    }
  }

  float operator()(float scaled, float x) const {
    const float whole = Whole::Trunc(scaled);
    float fraction = std::fabs(scaled - whole);
    fraction = whole == 0 && x != 0 && fraction < 0x1p-126f ? 0x1p-126f : fraction;
    const float up = fraction >= (x < 0 ? up_negative : up_positive) ? 1.0f : 0.0f;
    return whole + std::copysign(up, x);
  }
};

// Integers: clamp(round(x / step)) * step. Params: 1 / step, step.
template <typename Round, bool kSignMagnitude>
struct IntegerOp {
  using Whole = typename Round::Whole;

  Round round;
  float lo, hi;  // In steps.

  float operator()(float x, BlockParams params) const {
    const float code = Clamp(round(x * params.a, x), lo, hi) * params.b;
    return kSignMagnitude ? code : code + 0.0f;  // Two's complement knows one zero.
  }
};

// Floats: the step of x's own binade, or of the smallest normal's. A carry into the next binade
// lands on one of its values by itself. Rounding keeps order and the ends, so that clamping comes
// first, where it also gives Inf a binade. Params: biased exponent of the smallest normal, highest.
template <typename Round>
struct FloatOp {
  using Whole = typename Round::Whole;

  Round round;
  int mantissa_bits;

  float operator()(float x, BlockParams params) const {
    const int min_biased = static_cast<int>(Bits(params.a));
    x = Clamp(x, -params.b, params.b);
    int biased = static_cast<int>(Bits(x) >> 23 & 255);
    biased = biased < min_biased ? min_biased : biased;
    const float scale = FromBits(static_cast<uint32_t>(254 + mantissa_bits - biased) << 23);
    const float step = FromBits(static_cast<uint32_t>(biased - mantissa_bits) << 23);
    return round(x * scale, x) * step;
  }
};

// FloatOp for steps down to 2^-149, which are no normal numbers: small values are rounded 2^64
// higher up.
template <typename Round>
struct WideFloatOp {
  using Whole = typename Round::Whole;

  Round round;
  int mantissa_bits;

  float operator()(float x, BlockParams params) const {
    const int min_biased = static_cast<int>(Bits(params.a));
    const bool tiny = std::fabs(x) < 0x1p-60f;
    const int lift = tiny ? 64 : 0;
    const int least = min_biased + lift < mantissa_bits + 1 ? mantissa_bits + 1 : min_biased + lift;
    const BlockParams lifted = {FromBits(static_cast<uint32_t>(least)),
                                tiny ? params.b * 0x1p64f : params.b};
    const float q = FloatOp<Round>{round, mantissa_bits}(tiny ? x * 0x1p64f : x, lifted);
    return tiny ? q * 0x1p-64f : q;
  }
};

// Powers of two: the exponent, one higher where adding the carry to the fraction overflows. Params:
// biased exponents of the smallest and the largest value.
template <bool kHasZero>
struct PowerOp {
  uint32_t carry_positive = 0, carry_negative = 0;

  static PowerOp Of(FormatProto::Rounding rounding) {
    constexpr uint32_t kAny = 0x7FFFFF;
    switch (rounding) {
      case FormatProto::FLOOR:
        return {0, kAny};
      case FormatProto::CEILING:
        return {kAny, 0};
      case FormatProto::TOWARD_ZERO:
        return {0, 0};
      case FormatProto::AWAY_FROM_ZERO:
        return {kAny, kAny};
      default:
        return {kSqrt2Carry, kSqrt2Carry};  // Nearest in the exponent, which has no ties.
    }
  }

  float operator()(float x, BlockParams params) const {
    const uint32_t magnitude = Bits(x) & 0x7FFFFFFF;
    const uint32_t sign = Bits(x) & 0x80000000;
    const uint32_t carry = sign != 0 ? carry_negative : carry_positive;
    const int min_biased = static_cast<int>(Bits(params.a));
    const int max_biased = static_cast<int>(Bits(params.b));
    int biased = static_cast<int>((magnitude + carry) >> 23);
    biased = biased < min_biased ? min_biased : biased;
    biased = biased > max_biased ? max_biased : biased;
    uint32_t result = static_cast<uint32_t>(biased) << 23;
    if (kHasZero) {
      // Up to half of the smallest value; as integers floats of one sign compare alike.
      const uint32_t zero_up_to = static_cast<uint32_t>(min_biased - 1) << 23;
      result = magnitude <= zero_up_to ? 0 : result;
    }
    result |= !kHasZero && magnitude == 0 ? 0 : sign;
    return magnitude > 0x7F800000 ? x : FromBits(result);
  }
};

// PowerOp for values down to 2^-149: small ones are rounded 2^64 higher up. Params: the biased
// exponent of the smallest value plus 64, that of the largest.
template <bool kHasZero>
struct WidePowerOp {
  PowerOp<kHasZero> op;

  float operator()(float x, BlockParams params) const {
    const int lifted_min = static_cast<int>(Bits(params.a));
    const bool tiny = std::fabs(x) < 0x1p-60f && lifted_min <= 128;
    const int min_biased = tiny ? lifted_min : lifted_min < 65 ? 1 : lifted_min - 64;
    const int max_biased = static_cast<int>(Bits(params.b)) + (tiny ? 64 : 0);
    const BlockParams lifted = {FromBits(static_cast<uint32_t>(min_biased)),
                                FromBits(static_cast<uint32_t>(max_biased))};
    const float q = op(tiny ? x * 0x1p64f : x, lifted);
    return tiny ? q * 0x1p-64f : q;
  }
};

// The parameters of a grid for its operator.
BlockParams ParamsOf(const Grid& grid);

// Whether Inf, where a grid's highest number is beyond float32, has a scale in FloatOp.
inline bool ServesHighest(const Grid& grid) {
  return grid.mantissa_bits >= 2 || grid.highest <= std::numeric_limits<float>::max();
}

// Whether the operators serve `grid`: their scales and steps are normal float32 numbers.
inline bool HasFastOp(const Grid& grid) {
  switch (grid.kind) {
    case Grid::Kind::kInteger:
      return grid.step_exponent >= -126 && grid.step_exponent <= 126;
    case Grid::Kind::kFloat:
      return grid.step_exponent >= -126 && grid.min_exponent <= 127 && ServesHighest(grid);
    case Grid::Kind::kPower:
      return grid.min_exponent >= -125 && grid.max_exponent >= grid.min_exponent;
  }
  return false;
}

// Calls fn(round) with the functor of a rounding. Not for STOCHASTIC.
template <typename Fn>
void WithRound(FormatProto::Rounding rounding, const Fn& fn) {
  WithWhole([&](auto whole) {
    using Whole = decltype(whole);
    return rounding == FormatProto::NEAREST_EVEN ? fn(RoundToEven<Whole>())
                                                 : fn(RoundBySign<Whole>::Of(rounding));
  });
}

// Calls fn(op) with the operator that serves grids of this kind. Not for STOCHASTIC.
template <typename Fn>
void WithOp(const Grid& grid, FormatProto::Rounding rounding, const Fn& fn) {
  if (grid.kind == Grid::Kind::kPower) {
    return grid.has_zero ? fn(PowerOp<true>::Of(rounding)) : fn(PowerOp<false>::Of(rounding));
  }
  WithRound(rounding, [&](const auto& round) {
    using Round = std::decay_t<decltype(round)>;
    if (grid.kind == Grid::Kind::kFloat) return fn(FloatOp<Round>{round, grid.mantissa_bits});
    // In steps, the range of every shifted grid is the same.
    const double steps = double{PowerOfTwo(-grid.step_exponent)};
    const float lo = static_cast<float>(grid.lowest * steps);
    const float hi = static_cast<float>(grid.highest * steps);
    return grid.sign_magnitude ? fn(IntegerOp<Round, true>{round, lo, hi})
                               : fn(IntegerOp<Round, false>{round, lo, hi});
  });
}

// dst[i] = grid.Quantize(src[i]), by the fast operators where they serve. `src` may be `dst`.
// Element i draws UniformAt(seed, first_index + i).
void QuantizeOnGrid(const Grid& grid, const Policy& policy, const float* src, float* dst,
                    int64_t count, uint64_t seed, uint64_t first_index = 0);

}  // namespace mase

#endif  // MASE_FORMAT_GRID_OPS_H_
