// IEEE binary16, as files of others hold it.
#ifndef MASE_INTEROP_HALF_H_
#define MASE_INTEROP_HALF_H_

#include <cstdint>

#include "absl/base/casts.h"

namespace mase {

// The number of 1 bit of sign, 5 of exponent and 10 of mantissa, exactly.
inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half >> 15) << 31;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {  // Multiples of the smallest number.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign == 0 ? magnitude : -magnitude;
  }
  // Inf and NaN keep the largest exponent; the others move from bias 15 to 127.
  const uint32_t widened = exponent == 0x1f ? 0xff : exponent + 127 - 15;
  return absl::bit_cast<float>(sign | (widened << 23) | (mantissa << 13));
}

}  // namespace mase

#endif  // MASE_INTEROP_HALF_H_
