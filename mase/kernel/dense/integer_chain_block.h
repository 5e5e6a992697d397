// Groups of kLanes rows through an integer chain: one, or two that share each weight. Registers
// hold one output of all rows of a group. A group has matrices of its own, `matrix` numbers apart.
#ifndef MASE_KERNEL_DENSE_INTEGER_CHAIN_BLOCK_H_
#define MASE_KERNEL_DENSE_INTEGER_CHAIN_BLOCK_H_

#include <utility>

#include "mase/kernel/dense/integer_chain_narrow.h"
#include "mase/kernel/dense/integer_chain_row.h"

namespace mase::MASE_DENSE_NAMESPACE {

constexpr int kMostGroups = kLanes == 16 ? 2 : 1;

#ifdef MASE_DENSE_VNNI
// Bytes of a, b, c and d of each lane side by side, where the instructions for packing leave them
// in fours.
MASE_INLINE VI Interleave(__m512i packed) {
  return (VI)_mm512_shuffle_epi8(
      packed,
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)));
}

// Steps clamped and moved as bytes: all that a plain stage stores is between -128 and 127, and
// then flipped to begin at 0, or not.
struct PlainBytes {
  explicit PlainBytes(const Stage& s)
      : least(_mm512_set1_epi8(static_cast<char>(s.grid.least))),
        most(_mm512_set1_epi8(static_cast<char>(s.grid.most))),
        flip(_mm512_set1_epi8(static_cast<char>(s.zero))) {}

  MASE_INLINE VI Pack(VI a, VI b, VI c, VI d) const {
    const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32((__m512i)a, (__m512i)b),
                                              _mm512_packs_epi32((__m512i)c, (__m512i)d));
    const __m512i clamped = _mm512_min_epi8(_mm512_max_epi8(packed, least), most);
    return Interleave(_mm512_xor_si512(clamped, flip));
  }

  const __m512i least, most, flip;
};

// Codes that are clamped and moved already.
MASE_INLINE VI PackBytes(VI a, VI b, VI c, VI d) {
  return Interleave(_mm512_packus_epi16(_mm512_packs_epi32((__m512i)a, (__m512i)b),
                                        _mm512_packs_epi32((__m512i)c, (__m512i)d)));
}
#endif

// Sums of kOutputs outputs, 4 or 8, from `output` on, for finish(first place, output, sums).
template <bool kBytes, int kGroups, int kOutputs, typename Finish>
MASE_INLINE void BlockTile(const Stage& s, const int32_t* codes, int64_t matrix, int64_t output,
                           const Finish& finish) {
  VI sums[kGroups][kOutputs];
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) {
    const VI offset = Set(s.offset[output + o]);
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) sums[g][o] = offset;
  }
  const int32_t* weight = s.block_weight + output * s.steps;
  const auto add = [&](int64_t step) __attribute__((always_inline)) {
    VI some[kGroups];
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) some[g] = Load(codes + g * matrix + step * kLanes);
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) {
      const VI w = Set(weight[step * kOutputs + o]);
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) sums[g][o] = Dot<kBytes>(sums[g][o], some[g], w);
    }
  };
  int64_t step = 0;
  constexpr int kUnrolled = kLanes < 16 ? 1 : kGroups == 1 ? 4 : 2;  // As registers allow.
  for (; step + kUnrolled <= s.steps; step += kUnrolled) {
#pragma GCC unroll 4
    for (int i = 0; i < kUnrolled; ++i) add(step + i);
  }
  for (; step < s.steps; ++step) add(step);
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) finish(g * matrix, output, sums[g]);
}

template <bool kBytes, int kGroups, typename Finish>
MASE_INLINE void BlockTiles(const Stage& s, const int32_t* codes, int64_t matrix,
                            const Finish& finish) {
  const int64_t out = s.out;
  int64_t output = 0;
  for (; output + 4 < out; output += 8) {
    BlockTile<kBytes, kGroups, 8>(s, codes, matrix, output, finish);
  }
  if (output < out) BlockTile<kBytes, kGroups, 4>(s, codes, matrix, output, finish);
}

// Numbers of a tile, after the stage's ops.
template <int kOutputs>
MASE_INLINE void Numbers(const Stage& s, int64_t output, const Saved& saved,
                         const VI (&sums)[kOutputs], V (&x)[kOutputs]) {
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) x[o] = Number<Holds::kOneOutput>(s, output + o, sums[o]);
  Apply<Holds::kOneOutput, Seldom::kCalled>(s, output, saved, x);
}

// The codes of neighbouring outputs, as the next stage reads them: four bytes or two words a
// number.
template <int kOutputs>
MASE_INLINE void StoreCodes(Result result, int64_t output, const VI (&codes)[kOutputs],
                            int32_t* dst) {
#ifdef MASE_DENSE_VNNI
  if (result == Result::kBytes) {
#pragma GCC unroll 2
    for (int o = 0; o < kOutputs; o += 4) {
      Store(dst + (output + o) / 4 * kLanes,
            PackBytes(codes[o], codes[o + 1], codes[o + 2], codes[o + 3]));
    }
    return;
  }
#endif
  static_cast<void>(result);
#pragma GCC unroll 4
  for (int o = 0; o < kOutputs; o += 2) {
    Store(dst + (output + o) / 2 * kLanes, (codes[o] & Set(0xffff)) | (codes[o + 1] << 16));
  }
}

template <bool kBytes, int kGroups>
MASE_INLINE void BlockProduct(const Stage& s, const int32_t* codes, int64_t matrix,
                              const Saved& saved, int32_t* dst) {
  // Those of the group whose places begin at `at`.
  const auto saved_at = [&](int64_t at) { return Saved{saved.numbers + at, saved.stride}; };
  const Rounding rounding(s);
#ifdef MASE_DENSE_VNNI
  if (s.plain) {
    const PlainBytes bytes(s);
    BlockTiles<kBytes, kGroups>(
        s, codes, matrix,
        [&]<int kOutputs>(int64_t at, int64_t output, VI(&sums)[kOutputs])
            __attribute__((always_inline)) {
#pragma GCC unroll 8
              for (int o = 0; o < kOutputs; ++o) {
                sums[o] = PlainSteps<Holds::kOneOutput>(s, output + o, sums[o]);
              }
#pragma GCC unroll 2
              for (int o = 0; o < kOutputs; o += 4) {
                Store(dst + at + (output + o) / 4 * kLanes,
                      bytes.Pack(sums[o], sums[o + 1], sums[o + 2], sums[o + 3]));
              }
            });
    return;
  }
#endif
  BlockTiles<kBytes, kGroups>(
      s, codes, matrix,
      [&]<int kOutputs>(int64_t at, int64_t output, VI(&sums)[kOutputs])
          __attribute__((always_inline)) {
            V x[kOutputs];
            Numbers(s, output, saved_at(at), sums, x);
            if (rounding.result == Result::kFloats) {
#pragma GCC unroll 8
              for (int o = 0; o < kOutputs; ++o) {
                Store(reinterpret_cast<float*>(dst + at) + (output + o) * kLanes, x[o]);
              }
              return;
            }
            rounding.template Steps<Seldom::kCalled>(x, sums);
            StoreCodes(rounding.result, output, sums, dst + at);
          });
}

#ifdef MASE_DENSE_VNNI
// The first stage, to bytes: quarters of four rows each, gathered by what they have of the depth.
MASE_INLINE bool EncodeBlockBytes(const Stage& s, const float* src, int64_t rows, int32_t* dst) {
  const Rounding rounding(s);
  bool has_nan = false;
  for (int64_t f = 0; f < s.in; f += 16, dst += 4 * kLanes) {
    __m512i q[4];
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      q[i] = EncodeFourRows<Seldom::kCalled>(s, rounding, src, 4 * i, rows, f, has_nan);
    }
    const __m512i a = _mm512_shuffle_i32x4(q[0], q[1], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(q[2], q[3], 0x44);
    const __m512i c = _mm512_shuffle_i32x4(q[0], q[1], 0xee);
    const __m512i d = _mm512_shuffle_i32x4(q[2], q[3], 0xee);
    Store(dst, (VI)_mm512_shuffle_i32x4(a, b, 0x88));
    Store(dst + kLanes, (VI)_mm512_shuffle_i32x4(a, b, 0xdd));
    Store(dst + 2 * kLanes, (VI)_mm512_shuffle_i32x4(c, d, 0x88));
    Store(dst + 3 * kLanes, (VI)_mm512_shuffle_i32x4(c, d, 0xdd));
  }
  return !has_nan;
}
#endif

// The first stage: rows of codes, then turned by fours.
MASE_INLINE bool EncodeBlock(const Stage& s, const float* src, int64_t rows, int64_t widest,
                             int32_t* dst, int32_t* codes) {
#ifdef MASE_DENSE_VNNI
  if (s.result == Result::kBytes) return EncodeBlockBytes(s, src, rows, dst);
#endif
  bool ok = true;
  const float* turned[kGroup];
  const Rounding rounding(s);
  const int64_t in = s.in, steps = s.steps;
  for (int64_t r = 0; r < kLanes; ++r) {
    int32_t* row = codes + r * widest;
    if (r < rows) ok &= EncodeRow(s, in, rounding, src + r * in, row);
    turned[r] = reinterpret_cast<const float*>(r < rows ? row : codes);
  }
  for (int64_t step = 0; step < steps; step += 4) {
    LoadFourFeatures(turned, step, kLanes, reinterpret_cast<float*>(dst) + step * kLanes);
  }
  return ok;
}

// The input, a register for each feature, and zeros behind it, to the first slot. Rows that are
// missing are the first.
MASE_INLINE void SaveRows(const float* src, int64_t rows, int64_t in, float* dst) {
  const float* turned[kGroup];
  for (int64_t r = 0; r < kLanes; ++r) turned[r] = src + (r < rows ? r * in : 0);
  int64_t f = 0;
  for (; f + 4 <= in; f += 4) LoadFourFeatures(turned, f, kLanes, dst + f * kLanes);
  for (; f < in; ++f) {
    for (int64_t r = 0; r < kLanes; ++r) dst[f * kLanes + r] = turned[r][f];
  }
  for (; f % 4 != 0; ++f) Store(dst + f * kLanes, Set(0.0f));
}

// A stage of saved numbers. False if they have a NaN, or a norm makes one of them. What lies behind
// the last output are zeros in each slot, up to a multiple of 4.
inline bool RunSavedRows(const Stage& s, const Saved& saved, int32_t* dst) {
  const Rounding rounding(s);
  bool has_nan = false;
  for (int64_t output = 0; output < s.out; output += 4) {
    V x[4];
#pragma GCC unroll 4
    for (int64_t o = 0; o < 4; ++o) {
      x[o] = Load(saved.At<Holds::kOneOutput>(s.slot, output + o));
      has_nan |= HasNan(x[o]);
    }
    Apply<Holds::kOneOutput, Seldom::kHere>(s, output, saved, x, &has_nan);
    if (s.result == Result::kFloats) {
#pragma GCC unroll 4
      for (int64_t o = 0; o < 4; ++o) {
        Store(reinterpret_cast<float*>(dst) + (output + o) * kLanes, x[o]);
      }
      continue;
    }
    VI steps[4];
    rounding.Steps<Seldom::kHere>(x, steps);
    StoreCodes(s.result, output, steps, dst);
  }
  return !has_nan;
}

// The quarters of a register, `stride` apart.
MASE_INLINE void StoreQuarters(float* p, int64_t stride, V v) {
#if MASE_DENSE_LANES == 16
  _mm_storeu_ps(p, _mm512_castps512_ps128(v));
  _mm_storeu_ps(p + stride, _mm512_extractf32x4_ps(v, 1));
  _mm_storeu_ps(p + 2 * stride, _mm512_extractf32x4_ps(v, 2));
  _mm_storeu_ps(p + 3 * stride, _mm512_extractf32x4_ps(v, 3));
#elif MASE_DENSE_LANES == 8
  _mm_storeu_ps(p, _mm256_castps256_ps128(v));
  _mm_storeu_ps(p + stride, _mm256_extractf128_ps(v, 1));
#else
  static_cast<void>(stride);
  Store(p, v);
#endif
}

// Turns results by fours into rows, first in `spare`.
MASE_INLINE void StoreRows(const float* by_output, int64_t rows, int64_t out, float* spare,
                           float* dst) {
  const int64_t width = (out + 3) / 4 * 4;
  for (int64_t o = 0; o < out; o += 4, by_output += 4 * kLanes) {
    const V a = Load(by_output), b = Load(by_output + kLanes);
    const V c = Load(by_output + 2 * kLanes), d = Load(by_output + 3 * kLanes);
    const V ab_low = Shuffle<0x44>(a, b), ab_high = Shuffle<0xee>(a, b);
    const V cd_low = Shuffle<0x44>(c, d), cd_high = Shuffle<0xee>(c, d);
    StoreQuarters(spare + o, 4 * width, Shuffle<0x88>(ab_low, cd_low));
    StoreQuarters(spare + width + o, 4 * width, Shuffle<0xdd>(ab_low, cd_low));
    StoreQuarters(spare + 2 * width + o, 4 * width, Shuffle<0x88>(ab_high, cd_high));
    StoreQuarters(spare + 3 * width + o, 4 * width, Shuffle<0xdd>(ab_high, cd_high));
  }
  // What a row writes beyond its end, the next ones overwrite.
  int64_t r = 0;
  for (; r * out + width <= rows * out; ++r, spare += width, dst += out) {
    for (int64_t o = 0; o < out; o += 4) _mm_storeu_ps(dst + o, _mm_loadu_ps(spare + o));
  }
  for (; r < rows; ++r, spare += width, dst += out) CopyRow(spare, out, dst);
}

template <int kGroups>
MASE_INLINE bool RunBlock(const IntegerChain& chain, const float* src, int64_t rows, float* dst,
                          void* scratch) {
  const int64_t matrix = kLanes * chain.widest;
  int32_t* from = static_cast<int32_t*>(scratch);
  int32_t* to = from + kGroups * matrix;
  // Where a group saves its numbers.
  const auto saved = [=](int g) {
    return Saved{static_cast<float*>(scratch) + (2 * kGroups + g) * matrix, kGroups * matrix};
  };
  const Stage* s = chain.stages;
  bool ok = true;
  for (int g = 0; g < kGroups; ++g) {
    const float* const first = src + g * kLanes * chain.in;
    const int64_t count = rows - g * kLanes;
    if (s->slot < 0) {
      ok &= EncodeBlock(*s, first, count, chain.widest, from + g * matrix, to);
    } else {
      SaveRows(first, count, chain.in, saved(g).numbers);
      ok &= RunSavedRows(*s, saved(g), from + g * matrix);
    }
  }
  for (const Stage* end = s++ + chain.stage_count; s != end; ++s, std::swap(from, to)) {
    if (s->slot >= 0) {
      for (int g = 0; g < kGroups; ++g) ok &= RunSavedRows(*s, saved(g), to + g * matrix);
      continue;
    }
#ifdef MASE_DENSE_VNNI
    if (s->bytes) {
      BlockProduct<true, kGroups>(*s, from, matrix, saved(0), to);
      continue;
    }
#endif
    BlockProduct<false, kGroups>(*s, from, matrix, saved(0), to);
  }
  for (int g = 0; g < kGroups; ++g) {
    const int64_t first = g * kLanes, count = rows - first < kLanes ? rows - first : kLanes;
    StoreRows(reinterpret_cast<const float*>(from + g * matrix), count, chain.out,
              reinterpret_cast<float*>(to), dst + first * chain.out);
  }
  return ok;
}

inline bool Rows(const IntegerChain& chain, const float* src, int64_t rows, float* dst,
                 void* scratch) {
#ifdef MASE_DENSE_VNNI
  if (IsNarrow(chain)) return NarrowRows(chain, src, rows, dst);
#endif
  bool ok = true;
  int64_t done = 0;
  for (; rows - done > kLanes && kMostGroups > 1; done += kMostGroups * kLanes) {
    const int64_t count = rows - done < kMostGroups * kLanes ? rows - done : kMostGroups * kLanes;
    ok &=
        RunBlock<kMostGroups>(chain, src + done * chain.in, count, dst + done * chain.out, scratch);
    if (count < kMostGroups * kLanes) return ok;
  }
  for (; done < rows; done += kLanes) {
    const int64_t count = rows - done < kLanes ? rows - done : kLanes;
    ok &= RunBlock<1>(chain, src + done * chain.in, count, dst + done * chain.out, scratch);
  }
  return ok;
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_INTEGER_CHAIN_BLOCK_H_
