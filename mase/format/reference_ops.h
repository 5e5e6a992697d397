// MASE's float32 arithmetic, element by element, for the REFERENCE semantics. The formulas are
// MASE's own, offsets of 1e-9 and blends by 0/1 masks included; docs/formats.md explains them.
// All inline and without branches, for ForBestIsa.
#ifndef MASE_FORMAT_REFERENCE_OPS_H_
#define MASE_FORMAT_REFERENCE_OPS_H_

#include <cmath>
#include <cstdint>

#include "mase/format/grid_ops.h"

namespace mase::reference {

// 2^e rounded to float32: 0 and subnormals below, +Inf above, NaN for NaN.
inline float Exp2(float exponent) {
  const float above = exponent > -150.0f ? exponent : -150.0f;  // Also for NaN, which no int has.
  const int e = static_cast<int>(above < 128.0f ? above : 128.0f);
  const uint32_t normal = static_cast<uint32_t>(e + 127) << 23;
  const int shift = e + 149 < 0 ? 0 : e + 149 > 23 ? 23 : e + 149;
  const uint32_t subnormal = e < -149 ? 0 : 1u << shift;
  return exponent != exponent ? exponent : FromBits(e < -126 ? subnormal : normal);
}

// v = fraction * 2^exponent with 1 <= fraction < 2, for positive finite v.
struct Parts {
  float exponent, fraction;
};
inline Parts Split(float v) {
  const bool subnormal = v < 0x1p-126f;
  const uint32_t bits = Bits(subnormal ? v * 0x1p24f : v);
  const int exponent = static_cast<int>(bits >> 23) - (subnormal ? 127 + 24 : 127);
  return {static_cast<float>(exponent), FromBits((bits & 0x7FFFFF) | 0x3F800000)};
}

// The next three are floor, ceil and rint of log2(v) *as float32 rounds it*: just below 2^k the
// rounded logarithm is k already, so floor gives k there, and so on. Near the integer k,
// log2(2^k (1 + d)) = k + d / ln 2, and adding that to k in float32 rounds as the logarithm does.
// +Inf counts as 2^128, 0 as 2^-151: beyond every clamp that follows.
inline float FloorLog2(float v) {
  const Parts parts = Split(v);
  const float above = parts.exponent + 1;
  return above + (parts.fraction - 2) * 0.72134752f == above ? above : parts.exponent;
}
inline float CeilLog2(float v) {
  const Parts parts = Split(v);
  return parts.exponent + (parts.fraction - 1) * 1.44269504f == parts.exponent ? parts.exponent
                                                                               : parts.exponent + 1;
}
inline float RoundLog2(float v) {
  constexpr float kSqrt2 = 1.41421356f;
  constexpr float kSqrt2Rest = 2.42032345e-8f;  // sqrt(2) - kSqrt2.
  const Parts parts = Split(v);
  const float half = parts.exponent + 0.5f;
  const float d = (parts.fraction - kSqrt2) - kSqrt2Rest;
  const float logarithm = half + d * 1.02013946f;  // 1 / (sqrt(2) ln 2).
  return logarithm < half   ? parts.exponent
         : logarithm > half ? parts.exponent + 1
                            : std::rint(half);
}

// +0 for both zeros.
inline float Sign(float v) { return v > 0 ? 1.0f : v < 0 ? -1.0f : v + 0.0f; }

// MASE keeps |x| <= 1e-8 as it is, by a blend: not a choice, so that 0 * Inf gives NaN.
inline float BlendTiny(float x, float q) {
  const float tiny = std::fabs(x) <= 1e-8f ? 1.0f : 0.0f;
  return (1 - tiny) * q + tiny * x;
}

struct MinifloatDenorm {
  float mantissa_scale;  // 2^mantissa bits.
  float min_exponent, max_exponent;

  float operator()(float x) const {
    const float v = std::fabs(x);
    const float e = Clamp(CeilLog2(v + 1e-9f), min_exponent, max_exponent);
    const float k = Clamp(std::rint(v / Exp2(e) * mantissa_scale), 0.0f, mantissa_scale - 1);
    return BlendTiny(x, Sign(x + 1e-9f) * Exp2(e) * (k / mantissa_scale));
  }
};

// Params: smallest and largest exponent.
struct MinifloatIeee {
  float mantissa_scale;

  float operator()(float x, BlockParams params) const {
    const float v = std::fabs(x);
    // The last term is NaN for the NaN exponents of a NaN block, else nothing.
    const float e = Clamp(FloorLog2(v + 1e-9f), params.a, params.b) + 0 * params.a;
    const float power = Sign(x + 1e-9f) * Exp2(e);
    const float m = v / Exp2(e);
    const float normal = Clamp(std::rint((m - 1) * mantissa_scale), 0.0f, mantissa_scale - 1);
    const float subnormal = Clamp(std::rint(m * mantissa_scale / 2), 0.0f, mantissa_scale - 1);
    const float q = e != params.a ? power * (1 + normal / mantissa_scale)
                                  : power * (2 * subnormal / mantissa_scale);
    return BlendTiny(x, q);
  }
};

// `offset` is a tenth of the smallest power.
inline float LogAt(float x, float offset, float min_exponent, float max_exponent) {
  const float e = Clamp(RoundLog2(std::fabs(x) + offset), min_exponent, max_exponent);
  return Sign(x + offset) * Exp2(e);  // The sign of a NaN is one.
}

// The logarithm of a block's maximum given as bits, by `log2` (FloorLog2 or CeilLog2); NaN for a
// NaN, Inf for Inf.
template <typename Log2>
float BlockLog2(uint32_t max_bits, const Log2& log2) {
  return max_bits >= 0x7F800000 ? FromBits(max_bits) : log2(FromBits(max_bits));
}

}  // namespace mase::reference

#endif  // MASE_FORMAT_REFERENCE_OPS_H_
