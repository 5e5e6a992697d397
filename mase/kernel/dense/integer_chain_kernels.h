// The functions of integer_chain.h for MASE_DENSE_LANES, and VNNI if MASE_DENSE_VNNI; the whole of
// each integer_chain_*.cc.
#include <cstring>
#include <utility>

#include "mase/kernel/dense/integer_chain.h"
#include "mase/kernel/dense/kernels.h"
// After all else.
#include "mase/kernel/dense/layout_kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

using Stage = IntegerChainStage;
using Result = IntegerChainStage::Result;
using Op = IntegerChainOp;

MASE_INLINE void Store(int32_t* p, VI v) { *reinterpret_cast<UnalignedVI*>(p) = v; }

#if MASE_DENSE_LANES == 16
MASE_INLINE VI Set(int32_t x) { return (VI)_mm512_set1_epi32(x); }
MASE_INLINE V ToFloat(VI x) { return _mm512_cvtepi32_ps((__m512i)x); }
MASE_INLINE VI ToInt(V x) { return (VI)_mm512_cvtps_epi32(x); }  // Ties to even.
MASE_INLINE V Min(V a, V b) { return _mm512_min_ps(a, b); }      // b if one is NaN.
MASE_INLINE V Rint(V x) { return _mm512_roundscale_ps(x, 8); }
MASE_INLINE bool HasNan(V x) { return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q) != 0; }
#elif MASE_DENSE_LANES == 8
MASE_INLINE VI Set(int32_t x) { return (VI)_mm256_set1_epi32(x); }
MASE_INLINE V ToFloat(VI x) { return _mm256_cvtepi32_ps((__m256i)x); }
MASE_INLINE VI ToInt(V x) { return (VI)_mm256_cvtps_epi32(x); }
MASE_INLINE V Min(V a, V b) { return _mm256_min_ps(a, b); }
MASE_INLINE V Rint(V x) { return _mm256_round_ps(x, 8); }
MASE_INLINE bool HasNan(V x) { return _mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)) != 0; }
#else
MASE_INLINE VI Set(int32_t x) { return (VI)_mm_set1_epi32(x); }
MASE_INLINE V ToFloat(VI x) { return _mm_cvtepi32_ps((__m128i)x); }
MASE_INLINE VI ToInt(V x) { return (VI)_mm_cvtps_epi32(x); }
MASE_INLINE V Min(V a, V b) { return _mm_min_ps(a, b); }
MASE_INLINE V Rint(V x) { return ToFloat(ToInt(x)); }  // After clamping.
MASE_INLINE bool HasNan(V x) { return _mm_movemask_ps(_mm_cmpunord_ps(x, x)) != 0; }
#endif

// Modulo 2^32: sums of stored codes may leave an int32 on the way to one that does not.
MASE_INLINE VI Add(VI a, VI b) {
  using Unsigned = uint32_t __attribute__((vector_size(4 * kLanes)));
  return (VI)((Unsigned)a + (Unsigned)b);
}

// sum + products of the bytes or words of each lane.
template <bool kBytes>
MASE_INLINE VI Dot(VI sum, VI codes, VI weights) {
#ifdef MASE_DENSE_VNNI
  if constexpr (kBytes) {
    return (VI)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)codes, (__m512i)weights);
  } else {
    return (VI)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)codes, (__m512i)weights);
  }
#elif MASE_DENSE_LANES == 16
  return Add(sum, (VI)_mm512_madd_epi16((__m512i)codes, (__m512i)weights));
#elif MASE_DENSE_LANES == 8
  return Add(sum, (VI)_mm256_madd_epi16((__m256i)codes, (__m256i)weights));
#else
  return Add(sum, (VI)_mm_madd_epi16((__m128i)codes, (__m128i)weights));
#endif
}

// What belongs to outputs: to neighbouring ones in the lanes, or to one for all lanes.
template <bool kByLane>
MASE_INLINE V Per(const float* p) {
  if constexpr (kByLane) return Load(p);
  return Set(*p);
}

// A sum as a number, rounded once.
template <bool kByLane>
MASE_INLINE V Number(const Stage& s, int64_t output, VI sum) {
  if (!s.in_double) {
    return Fma(ToFloat(sum), Per<kByLane>(s.scale + output), Per<kByLane>(s.shift + output));
  }
  V x;
  for (int i = 0; i < kLanes; ++i) {
    const int64_t at = output + (kByLane ? i : 0);
    x[i] = static_cast<float>(static_cast<double>(sum[i]) * static_cast<double>(s.scale[at]) +
                              static_cast<double>(s.shift[at]));
  }
  return x;
}

template <bool kByLane>
MASE_INLINE V Apply(const Stage& s, int64_t output, V x) {
  for (int64_t i = 0; i < s.op_count; ++i) {
    const Op& op = s.ops[i];
    if (op.kind == Op::Kind::kRelu) {
      x = Max(Set(0.0f), x);  // NaN stays NaN.
    } else if (op.kind == Op::Kind::kNorm) {
      const float* mean = op.mean + output;
      x = Fma(x - Per<kByLane>(mean), Per<kByLane>(mean + s.stride),
              Per<kByLane>(mean + 2 * s.stride));
    } else {
      x = Max(x * Set(op.inverse), Set(op.least));  // NaN becomes the least.
      // The sum makes a negative zero a positive one: codes have one zero.
      x = Rint(Min(x, Set(op.most))) * Set(op.step) + Set(0.0f);
    }
  }
  return x;
}

// What rounds to a stage's codes, in registers: memory that stores may alias is not read again.
struct Rounding {
  MASE_INLINE explicit Rounding(const Stage& s)
      : result(s.result),
        inverse(Set(s.inverse)),
        least(Set(s.least)),
        most(Set(s.most)),
        zero(Set(s.zero)),
        least_stored(Set(static_cast<int32_t>(s.least) + s.zero)),
        most_stored(Set(static_cast<int32_t>(s.most) + s.zero)) {}

  // Codes as whole numbers, not yet packed.
  MASE_INLINE VI Steps(V x) const { return ToInt(Min(Max(x * inverse, least), most)) + zero; }

  const Result result;
  const V inverse, least, most;
  const VI zero, least_stored, most_stored;
};

// Steps of a plain stage, neither clamped nor moved to `zero`.
template <bool kByLane>
MASE_INLINE VI PlainSteps(const Stage& s, int64_t output, VI sum) {
  return ToInt(ToFloat(sum) * Per<kByLane>(s.scale + output));
}

// --- A row by itself.

struct VI16 {
  VI part[kParts];
};

using Words8 = int16_t __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));
using Bytes4 = uint8_t __attribute__((vector_size(kLanes), aligned(1), may_alias));

// kLanes codes or numbers from `output` on.
MASE_INLINE void StoreSteps(Result result, VI steps, int64_t output, void* dst) {
  if (result == Result::kBytes) {
    *reinterpret_cast<Bytes4*>(static_cast<uint8_t*>(dst) + output) =
        __builtin_convertvector(steps, Bytes4);
  } else {
    *reinterpret_cast<Words8*>(static_cast<int16_t*>(dst) + output) =
        __builtin_convertvector(steps, Words8);
  }
}

MASE_INLINE void StoreRow(const Stage& s, int64_t output, VI sum, void* dst) {
  const Rounding rounding(s);
  if (s.plain) {
    VI steps = PlainSteps<true>(s, output, sum) + rounding.zero;
    steps = steps > rounding.least_stored ? steps : rounding.least_stored;
    steps = steps < rounding.most_stored ? steps : rounding.most_stored;
    return StoreSteps(Result::kBytes, steps, output, dst);
  }
  const V x = Apply<true>(s, output, Number<true>(s, output, sum));
  if (s.result == Result::kFloats) return Store(static_cast<float*>(dst) + output, x);
  StoreSteps(s.result, rounding.Steps(x), output, dst);
}

// kGroups times 16 outputs from `output` on, in a strip of kStrip of them.
template <bool kBytes, int kGroups, int kStrip>
MASE_INLINE void RowTile(const Stage& s, const int32_t* weight, const int32_t* codes,
                         int64_t output, void* dst) {
  VI16 sums[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) {
      sums[g].part[part] = Load(s.offset + output + g * kGroup + part * kLanes);
    }
  }
  const auto add = [&](int64_t step) __attribute__((always_inline)) {
    const VI four = Set(codes[step]);
    const int32_t* w = weight + step * kStrip * kGroup;
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) {
        sums[g].part[part] =
            Dot<kBytes>(sums[g].part[part], four, Load(w + g * kGroup + part * kLanes));
      }
    }
  };
  int64_t step = 0;
  for (; step + 4 <= s.steps; step += 4) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) add(step + i);
  }
  for (; step < s.steps; ++step) add(step);
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) {
      StoreRow(s, output + g * kGroup + part * kLanes, sums[g].part[part], dst);
    }
  }
}

constexpr int kRowGroups = kLanes == 4 ? 2 : 4;

template <bool kBytes, int kStrip>
MASE_INLINE void RowStrip(const Stage& s, const int32_t* codes, int64_t output, void* dst) {
  constexpr int kGroups = kStrip < kRowGroups ? kStrip : kRowGroups;
  const int32_t* weight = s.row_weight + output * s.steps;
#pragma GCC unroll 2
  for (int g = 0; g < kStrip; g += kGroups) {
    RowTile<kBytes, kGroups, kStrip>(s, weight + g * kGroup, codes, output + g * kGroup, dst);
  }
}

template <bool kBytes>
MASE_INLINE void RowProduct(const Stage& s, const int32_t* codes, void* dst) {
  int64_t output = 0;
  for (; output + 4 * kGroup <= s.stride; output += 4 * kGroup) {
    RowStrip<kBytes, 4>(s, codes, output, dst);
  }
  if (output + 2 * kGroup <= s.stride) {
    RowStrip<kBytes, 2>(s, codes, output, dst);
    output += 2 * kGroup;
  }
  if (output < s.stride) RowStrip<kBytes, 1>(s, codes, output, dst);
}

// The first stage: a row of the caller's, which ends anywhere. False if it has a NaN.
MASE_INLINE bool EncodeRow(const Stage& s, int64_t in, const Rounding& rounding, const float* src,
                           void* dst) {
  bool has_nan = false;
  const auto encode = [&](int64_t f, V x) __attribute__((always_inline)) {
    has_nan |= HasNan(x);
    if (s.op_count > 0) x = Apply<true>(s, f, x);
    StoreSteps(rounding.result, rounding.Steps(x), f, dst);
  };
  int64_t f = 0;
  for (; f + kLanes <= in; f += kLanes) encode(f, Load(src + f));
  if (f == in) return !has_nan;
  float last[kLanes] = {};
  for (int64_t i = 0; f + i < in; ++i) last[i] = src[f + i];
  encode(f, Load(last));
  return !has_nan;
}

// As memcpy, without a call: results of a row are few.
MASE_INLINE void CopyRow(const float* src, int64_t count, float* dst) {
  for (; count >= kLanes; count -= kLanes, src += kLanes, dst += kLanes) Store(dst, Load(src));
#pragma GCC unroll 4
  for (int64_t part = kLanes / 2; part > 0; part /= 2) {
    if ((count & part) == 0) continue;
    std::memcpy(dst, src, static_cast<size_t>(part) * sizeof(float));
    src += part;
    dst += part;
  }
}

inline bool Row(const void* prepared, const void* src, void* dst, void* scratch) {
  const IntegerChain& chain = *static_cast<const IntegerChain*>(prepared);
  int32_t* from = static_cast<int32_t*>(scratch);
  int32_t* to = from + chain.widest;
  const Stage* s = chain.stages;
  const bool ok = EncodeRow(*s, chain.in, Rounding(*s), static_cast<const float*>(src), from);
  for (const Stage* end = s++ + chain.stage_count; s != end; ++s) {
#ifdef MASE_DENSE_VNNI
    if (s->bytes) {
      RowProduct<true>(*s, from, to);
      std::swap(from, to);
      continue;
    }
#endif
    RowProduct<false>(*s, from, to);
    std::swap(from, to);
  }
  CopyRow(reinterpret_cast<const float*>(from), chain.out, static_cast<float*>(dst));
  return ok;
}

// --- Groups of kLanes rows: one, or two that share each weight. A group has matrices of its own,
// `matrix` numbers apart.

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
      : least(_mm512_set1_epi8(static_cast<char>(s.least))),
        most(_mm512_set1_epi8(static_cast<char>(s.most))),
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
MASE_INLINE void Numbers(const Stage& s, int64_t output, const VI (&sums)[kOutputs],
                         V (&x)[kOutputs]) {
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) x[o] = Number<false>(s, output + o, sums[o]);
  for (int64_t i = 0; i < s.op_count; ++i) {
    const Op& op = s.ops[i];
    if (op.kind == Op::Kind::kRelu) {
#pragma GCC unroll 8
      for (int o = 0; o < kOutputs; ++o) x[o] = Max(Set(0.0f), x[o]);
    } else if (op.kind == Op::Kind::kNorm) {
      const float* mean = op.mean + output;
#pragma GCC unroll 8
      for (int o = 0; o < kOutputs; ++o, ++mean) {
        x[o] = Fma(x[o] - Set(*mean), Set(mean[s.stride]), Set(mean[2 * s.stride]));
      }
    } else {
#pragma GCC unroll 8
      for (int o = 0; o < kOutputs; ++o) {
        x[o] = Min(Max(x[o] * Set(op.inverse), Set(op.least)), Set(op.most));
        x[o] = Rint(x[o]) * Set(op.step) + Set(0.0f);
      }
    }
  }
}

template <bool kBytes, int kGroups>
MASE_INLINE void BlockProduct(const Stage& s, const int32_t* codes, int64_t matrix, int32_t* dst) {
  if (s.result == Result::kFloats) {
    BlockTiles<kBytes, kGroups>(
        s, codes, matrix, [&]<int kOutputs>(int64_t at, int64_t output, VI(&sums)[kOutputs]) {
          V x[kOutputs];
          Numbers(s, output, sums, x);
#pragma GCC unroll 8
          for (int o = 0; o < kOutputs; ++o) {
            Store(reinterpret_cast<float*>(dst + at) + (output + o) * kLanes, x[o]);
          }
        });
    return;
  }
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
                sums[o] = PlainSteps<false>(s, output + o, sums[o]);
              }
#pragma GCC unroll 2
              for (int o = 0; o < kOutputs; o += 4) {
                Store(dst + at + (output + o) / 4 * kLanes,
                      bytes.Pack(sums[o], sums[o + 1], sums[o + 2], sums[o + 3]));
              }
            });
    return;
  }
  if (s.result == Result::kBytes) {
    BlockTiles<kBytes, kGroups>(
        s, codes, matrix,
        [&]<int kOutputs>(int64_t at, int64_t output, VI(&sums)[kOutputs])
            __attribute__((always_inline)) {
              V x[kOutputs];
              Numbers(s, output, sums, x);
#pragma GCC unroll 8
              for (int o = 0; o < kOutputs; ++o) sums[o] = rounding.Steps(x[o]);
#pragma GCC unroll 2
              for (int o = 0; o < kOutputs; o += 4) {
                Store(dst + at + (output + o) / 4 * kLanes,
                      PackBytes(sums[o], sums[o + 1], sums[o + 2], sums[o + 3]));
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
            Numbers(s, output, sums, x);
#pragma GCC unroll 8
            for (int o = 0; o < kOutputs; ++o) sums[o] = rounding.Steps(x[o]);
#pragma GCC unroll 4
            for (int o = 0; o < kOutputs; o += 2) {
              Store(dst + at + (output + o) / 2 * kLanes,
                    (sums[o] & Set(0xffff)) | (sums[o + 1] << 16));
            }
          });
}

// The first stage: rows of codes, then turned by fours.
MASE_INLINE bool EncodeBlock(const Stage& s, const float* src, int64_t rows, int64_t widest,
                             int32_t* dst, int32_t* codes) {
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
  const Stage* s = chain.stages;
  bool ok = true;
  for (int g = 0; g < kGroups; ++g) {
    ok &= EncodeBlock(*s, src + g * kLanes * chain.in, rows - g * kLanes, chain.widest,
                      from + g * matrix, to);
  }
  for (const Stage* end = s++ + chain.stage_count; s != end; ++s, std::swap(from, to)) {
#ifdef MASE_DENSE_VNNI
    if (s->bytes) {
      BlockProduct<true, kGroups>(*s, from, matrix, to);
      continue;
    }
#endif
    BlockProduct<false, kGroups>(*s, from, matrix, to);
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

// Measured on a net of 16, 64, 32, 32 and 5 features.
#ifdef MASE_DENSE_VNNI
constexpr bool kHasBytes = true;
constexpr int kFewRows = 5;
#else
constexpr bool kHasBytes = false;
constexpr int kFewRows = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;
#endif

extern const IntegerChainKernels kIntegerChainKernels = {
    .has_bytes = kHasBytes, .lanes = kLanes, .few_rows = kFewRows, .row = Row, .rows = Rows};

}  // namespace mase::MASE_DENSE_NAMESPACE
