// Chains of one product with eight outputs at most, four rows at a time: codes and sums never leave
// the registers. As in float32 (chain_kernels.h), one holds the outputs of two rows.
#ifndef MASE_KERNEL_DENSE_INTEGER_CHAIN_NARROW_H_
#define MASE_KERNEL_DENSE_INTEGER_CHAIN_NARROW_H_

#include "mase/kernel/dense/integer_chain_sums.h"

#ifdef MASE_DENSE_VNNI

namespace mase::MASE_DENSE_NAMESPACE {

constexpr int64_t kNarrow = 8;

inline bool IsNarrow(const IntegerChain& chain) {
  return chain.stage_count == 2 && chain.stages[1].bytes && chain.out <= kNarrow &&
         chain.slots == 0 && !chain.stages[0].seldom && !chain.stages[1].seldom;
}

// The codes of up to 16 features from `f` on of the four rows from `row` on; what is behind the
// last of `rows` rows counts as it. A quarter of the register has four features, as a number of
// four bytes for each row. Sets `has_nan` if a row has one, or a norm makes one of it.
template <Seldom kSeldom>
MASE_INLINE __m512i EncodeFourRows(const Stage& s, const Rounding& rounding, const float* src,
                                   int64_t row, int64_t rows, int64_t f, bool& has_nan) {
  const __mmask16 which = s.in - f >= 16 ? 0xffff : static_cast<__mmask16>((1 << (s.in - f)) - 1);
  V x[4];
#pragma GCC unroll 4
  for (int64_t r = 0; r < 4; ++r) {
    const int64_t at = row + r < rows ? row + r : rows - 1;
    x[r] = _mm512_maskz_loadu_ps(which, src + at * s.in + f);
  }
  has_nan |= (_mm512_cmp_ps_mask(x[0], x[1], _CMP_UNORD_Q) |
              _mm512_cmp_ps_mask(x[2], x[3], _CMP_UNORD_Q)) != 0;
  Apply<Holds::kOutputs, kSeldom>(s, f, Saved(), x, &has_nan);
  VI steps[4];
  rounding.Steps<kSeldom>(x, steps);
  return _mm512_packus_epi16(_mm512_packs_epi32((__m512i)steps[0], (__m512i)steps[1]),
                             _mm512_packs_epi32((__m512i)steps[2], (__m512i)steps[3]));
}

MASE_INLINE void StoreTwoRows(const Stage& s, VI sums, int64_t rows, float* dst) {
  V x[] = {Number<Holds::kTwoRows>(s, 0, sums)};
  Apply<Holds::kTwoRows, Seldom::kNever>(s, 0, Saved(), x);
  const __mmask8 which = static_cast<__mmask8>((1 << s.out) - 1);
  if (rows > 0) _mm256_mask_storeu_ps(dst, which, _mm512_castps512_ps256(x[0]));
  if (rows > 1) _mm256_mask_storeu_ps(dst + s.out, which, _mm512_extractf32x8_ps(x[0], 1));
}

inline bool NarrowRows(const IntegerChain& chain, const float* src, int64_t rows, float* dst) {
  const Stage &first = chain.stages[0], &s = chain.stages[1];
  const Rounding rounding(first);
  const __m512i offset =
      _mm512_broadcast_i32x8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(s.offset)));
  // Which number of a quarter goes to the outputs of a row.
  const __m512i rows01 = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi32(1), 1);
  const __m512i rows23 = _mm512_add_epi32(rows01, _mm512_set1_epi32(2));
  bool has_nan = false;
  for (int64_t row = 0; row < rows; row += 4, dst += 4 * chain.out) {
    __m512i sums01 = offset, sums23 = offset;
    const int32_t* weight = s.row_weight;
    for (int64_t f = 0; f < chain.in; f += 16) {
      const __m512i codes =
          EncodeFourRows<Seldom::kNever>(first, rounding, src, row, rows, f, has_nan);
      const int64_t steps = s.steps - f / 4;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i, weight += kGroup) {
        if (i >= steps) break;
        const __m512i w =
            _mm512_broadcast_i32x8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weight)));
        const __m512i quarter = _mm512_set1_epi32(4 * i);
        sums01 = _mm512_dpbusd_epi32(
            sums01, _mm512_permutexvar_epi32(_mm512_add_epi32(rows01, quarter), codes), w);
        sums23 = _mm512_dpbusd_epi32(
            sums23, _mm512_permutexvar_epi32(_mm512_add_epi32(rows23, quarter), codes), w);
      }
    }
    StoreTwoRows(s, (VI)sums01, rows - row, dst);
    StoreTwoRows(s, (VI)sums23, rows - row - 2, dst + 2 * chain.out);
  }
  return !has_nan;
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_DENSE_VNNI

#endif  // MASE_KERNEL_DENSE_INTEGER_CHAIN_NARROW_H_
