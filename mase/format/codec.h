// The REFERENCE arithmetic of MASE's minifloat codec, shared by the families minifloat and mxfp.
#ifndef MASE_FORMAT_CODEC_H_
#define MASE_FORMAT_CODEC_H_

#include "mase/format/reference_ops.h"

namespace mase::reference {

// How the fraction is shortened: of the upper 15 bits (the lower 8 are dropped first), nearest
// with ties to even, floor or ceil; kCut truncates all 23.
enum class CodecRounding { kNearest, kFloor, kCeil, kCut };

// Encodes and decodes one value. How it rounds is data, not a type: one loop for each instruction
// set serves all four.
template <bool kFinite>
struct Codec {
  Codec(CodecRounding rounding, int exponent_width, int fraction_width)
      : exponent_bits(exponent_width),
        fraction_bits(fraction_width),
        dropped(rounding == CodecRounding::kCut ? 0 : 8),
        shift(23 - dropped - fraction_width),
        up(rounding == CodecRounding::kNearest ? (1u << (shift - 1)) - 1
           : rounding == CodecRounding::kCeil  ? (1u << shift) - 1
                                               : 0),
        odd(rounding == CodecRounding::kNearest ? 1 : 0) {}

  int exponent_bits, fraction_bits;
  int dropped, shift;  // Bits of the fraction that are cut before it is rounded, and by rounding.
  uint32_t up, odd;    // What rounding adds: always, and to what rounds down to an odd fraction.

  uint32_t RoundFraction(uint32_t fraction) const {
    const uint32_t upper = fraction >> dropped;
    return (upper + up + (upper >> shift & odd)) >> shift;
  }

  // The code of |x|.
  uint32_t Encode(float x) const {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int top = (1 << exponent_bits) - (kFinite ? 1 : 2);
    const uint32_t all_ones = (1u << fraction_bits) - 1;
    const uint32_t magnitude = Bits(x) & 0x7FFFFFFF;
    const int biased = static_cast<int>(magnitude >> 23);
    const bool special = biased == 255;  // frexp gives Inf and NaN the exponent -1.
    const int exponent = (kFinite && special ? -1 : biased - 127) + bias;
    uint32_t fraction = RoundFraction(magnitude & 0x7FFFFF);
    fraction = exponent == 0 && fraction != 0 ? (fraction | 1u << fraction_bits) >> 1 : fraction;
    uint32_t code = static_cast<uint32_t>(exponent < 0 ? 0 : exponent) << fraction_bits | fraction;
    code = exponent < 0 || biased == 0 ? 0 : code;
    code = exponent > top ? static_cast<uint32_t>(top) << fraction_bits | all_ones : code;
    if (!kFinite) {
      code = magnitude == 0x7F800000 ? static_cast<uint32_t>(top) << fraction_bits : code;
    }
    return code;
  }

  // The magnitude of a code; a carry may have pushed it beyond its bits, which are cut off.
  float Decode(uint32_t code) const {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = static_cast<int>(code >> fraction_bits & ((1u << exponent_bits) - 1));
    const uint32_t fraction = code & ((1u << fraction_bits) - 1);
    const float part = static_cast<float>(static_cast<int>(fraction)) * PowerOfTwo(-fraction_bits);
    const float subnormal = Exp2(static_cast<float>(1 - bias)) * part;
    const float normal = Exp2(static_cast<float>(exponent - bias)) * (1 + part);
    float value = exponent == 0 ? subnormal : normal;
    if (!kFinite) {
      const bool special = exponent == (1 << exponent_bits) - 1;
      value = special ? FromBits(fraction == 0 ? 0x7F800000 : 0x7FC00000) : value;
    }
    return value;
  }

  float operator()(float x) const {
    const float value = Decode(Encode(x));
    return x < 0 ? -value : value;
  }
};

}  // namespace mase::reference

#endif  // MASE_FORMAT_CODEC_H_
