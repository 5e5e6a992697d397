// bfloat16: the upper half of a float32. Rounding is to nearest, ties to even; a NaN stays one.
//
// Products with KernelSpec::bfloat16 round copies of their operands and multiply those in float,
// where a product of two bfloat16 is exact. The instructions of AVX512_BF16 give the same but for
// the order of sums, and oneDNN's convolutions on them took twice as long as float's.
#ifndef MASE_KERNEL_BFLOAT16_H_
#define MASE_KERNEL_BFLOAT16_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"

namespace mase {

// The bits of the nearest bfloat16, in the upper half.
[[gnu::always_inline]] inline uint32_t Bfloat16Bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  return (is_nan ? bits | 0x400000 : rounded) & 0xffff0000;
}

// dst[i] = the bfloat16 nearest to src[i], as a float; dst may be src.
inline void RoundToBfloat16(int64_t n, const float* src, float* dst) {
  ParallelFor(n, kElementGrain, [&](int64_t begin, int64_t end) {
    ForBestIsa([&] {
      for (int64_t i = begin; i < end; ++i) {
        const uint32_t bits = Bfloat16Bits(src[i]);
        std::memcpy(dst + i, &bits, sizeof bits);
      }
    });
  });
}

// `n` operands as a product takes them: themselves, or rounded to `rounded`.
template <typename T>
const T* ProductOperand(bool bfloat16, int64_t n, const T* data, T* rounded) {
  if constexpr (std::is_same_v<T, float>) {
    if (bfloat16) {
      RoundToBfloat16(n, data, rounded);
      return rounded;
    }
  }
  return data;
}

}  // namespace mase

#endif  // MASE_KERNEL_BFLOAT16_H_
