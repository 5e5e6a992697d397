// What the functions of integer_chain.h share, for a row and for a block of them: sums of products
// of codes, and their way through a stage to the codes of the next, in registers.
#ifndef MASE_KERNEL_DENSE_INTEGER_CHAIN_SUMS_H_
#define MASE_KERNEL_DENSE_INTEGER_CHAIN_SUMS_H_

#include "mase/base/nearest_steps.h"
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
MASE_INLINE bool AnyAtLeast(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ) != 0; }
#elif MASE_DENSE_LANES == 8
MASE_INLINE VI Set(int32_t x) { return (VI)_mm256_set1_epi32(x); }
MASE_INLINE V ToFloat(VI x) { return _mm256_cvtepi32_ps((__m256i)x); }
MASE_INLINE VI ToInt(V x) { return (VI)_mm256_cvtps_epi32(x); }
MASE_INLINE V Min(V a, V b) { return _mm256_min_ps(a, b); }
MASE_INLINE V Rint(V x) { return _mm256_round_ps(x, 8); }
MASE_INLINE bool HasNan(V x) { return _mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)) != 0; }
MASE_INLINE bool AnyAtLeast(V a, V b) { return _mm256_movemask_ps((V)(a >= b)) != 0; }
#else
MASE_INLINE VI Set(int32_t x) { return (VI)_mm_set1_epi32(x); }
MASE_INLINE V ToFloat(VI x) { return _mm_cvtepi32_ps((__m128i)x); }
MASE_INLINE VI ToInt(V x) { return (VI)_mm_cvtps_epi32(x); }
MASE_INLINE V Min(V a, V b) { return _mm_min_ps(a, b); }
MASE_INLINE V Rint(V x) { return ToFloat(ToInt(x)); }  // After clamping.
MASE_INLINE bool HasNan(V x) { return _mm_movemask_ps(_mm_cmpunord_ps(x, x)) != 0; }
MASE_INLINE bool AnyAtLeast(V a, V b) { return _mm_movemask_ps((V)(a >= b)) != 0; }
#endif
MASE_INLINE V Magnitude(V x) { return (V)((VI)x & Set(0x7fffffff)); }

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

// Which outputs a register holds: neighbouring ones of a row, one of all its rows, or eight
// neighbouring ones of two rows, which takes 16 lanes.
enum class Holds { kOutputs, kOneOutput, kTwoRows };

// What belongs to the outputs from p on, by lane.
template <Holds kHolds>
MASE_INLINE V Per(const float* p) {
  if constexpr (kHolds == Holds::kOutputs) return Load(p);
#if MASE_DENSE_LANES == 16
  if constexpr (kHolds == Holds::kTwoRows) return _mm512_broadcast_f32x8(_mm256_loadu_ps(p));
#endif
  return Set(*p);
}

// A sum as a number, rounded once.
template <Holds kHolds>
MASE_INLINE V Number(const Stage& s, int64_t output, VI sum) {
  if (!s.in_double) {
    return Fma(ToFloat(sum), Per<kHolds>(s.scale + output), Per<kHolds>(s.shift + output));
  }
  V x;
  for (int i = 0; i < kLanes; ++i) {
    const int64_t at = output + (kHolds == Holds::kOutputs   ? i
                                 : kHolds == Holds::kTwoRows ? i % 8
                                                             : 0);
    x[i] = static_cast<float>(static_cast<double>(sum[i]) * static_cast<double>(s.scale[at]) +
                              static_cast<double>(s.shift[at]));
  }
  return x;
}

// A grid in registers: memory that stores may alias is not read again.
struct Grid {
  MASE_INLINE explicit Grid(const IntegerChainGrid& grid)
      : inverse(Set(grid.inverse)), least(Set(grid.least)), most(Set(grid.most)) {}

  // In steps, clamped, not yet whole. A NaN is the least.
  MASE_INLINE V Scaled(V x) const { return Min(Max(x * inverse, least), most); }

  const V inverse, least, most;
};

// Whole steps of a grid that divides. The product with 1 / step is off by 2^-23 of itself: enough
// unless one is that near to a tie.
template <int kCount>
MASE_INLINE void Divide(const IntegerChainGrid& of_stage, const V (&x)[kCount],
                        V (&steps)[kCount]) {
  const Grid grid(of_stage);
  V numbers[kCount], fraction = Set(0.0f);
#pragma GCC unroll 8
  for (int o = 0; o < kCount; ++o) {
    numbers[o] = x[o];
    const V scaled = grid.Scaled(x[o]);
    steps[o] = Rint(scaled);
    fraction = Max(fraction, Magnitude(scaled - steps[o]));
  }
  if (!AnyAtLeast(fraction, Set(of_stage.unsure))) [[likely]]
    return;
  V exact[kCount];  // One function for all, of copies that may lie in memory.
  RoundToNearestSteps(reinterpret_cast<const float*>(numbers), kCount * kLanes, of_stage.step,
                      of_stage.least, of_stage.most, reinterpret_cast<float*>(exact));
#pragma GCC unroll 8
  for (int o = 0; o < kCount; ++o) steps[o] = exact[o];
}

// Where ops of which chains have few are computed: nowhere, in place, or in a function that is
// called, of registers in memory, as there are many places.
enum class Seldom { kNever, kHere, kCalled };

// Numbers that stages save: of a row `stride` numbers a slot, of a block the kLanes of each output.
struct Saved {
  float* numbers = nullptr;
  int64_t stride = 0;

  template <Holds kHolds>
  MASE_INLINE float* At(int64_t slot, int64_t output) const {
    return numbers + slot * stride + output * (kHolds == Holds::kOneOutput ? kLanes : 1);
  }
};

// x becomes a multiple of the step.
MASE_INLINE void Round(const IntegerChainGrid& to, V& x) {
  V steps[] = {x};
  if (to.divides) {
    Divide(to, steps, steps);
  } else {
    steps[0] = Rint(Grid(to).Scaled(x));
  }
  // The sum makes a negative zero a positive one: codes have one zero.
  x = steps[0] * Set(to.step) + Set(0.0f);
}

// The ops of which chains have few, kRound, kSave and kAdd, on registers in memory; `numbers` are
// the first one's saved numbers, and others' `next` behind.
MASE_INLINE void ApplyInMemory(const Op& op, float* numbers, int64_t next, V* x, int64_t count) {
  for (int64_t o = 0; o < count; ++o, numbers += next) {
    if (op.kind == Op::Kind::kRound) {
      Round(op.grid, x[o]);
    } else if (op.kind == Op::Kind::kSave) {
      Store(numbers, x[o]);
    } else {
      V y = Load(numbers);
      if (op.rounds) Round(op.grid, y);
      x[o] = x[o] + y;
    }
  }
}
[[gnu::noinline]] inline void CallApply(const Op& op, float* numbers, int64_t next, V* x,
                                        int64_t count) {
  ApplyInMemory(op, numbers, next, x, count);
}

// The stage's ops on registers of the outputs from `output` on; of one output each, the next has
// the next one's. Sets `has_nan`, where asked for, if a norm makes a NaN.
template <Holds kHolds, Seldom kSeldom, int kCount>
MASE_INLINE void Apply(const Stage& s, int64_t output, const Saved& saved, V (&x)[kCount],
                       bool* has_nan = nullptr) {
  constexpr int64_t kNext = kHolds == Holds::kOneOutput ? 1 : 0;
  for (int64_t i = 0; i < s.op_count; ++i) {
    const Op& op = s.ops[i];
    if (op.kind == Op::Kind::kRelu) {
#pragma GCC unroll 8
      for (int o = 0; o < kCount; ++o) x[o] = Max(Set(0.0f), x[o]);  // NaN stays NaN.
    } else if (op.kind == Op::Kind::kNorm) {
      const float* mean = op.mean + output;
#pragma GCC unroll 8
      for (int o = 0; o < kCount; ++o, mean += kNext) {
        x[o] = Fma(x[o] - Per<kHolds>(mean), Per<kHolds>(mean + s.stride),
                   Per<kHolds>(mean + 2 * s.stride));
        if (has_nan != nullptr) *has_nan |= HasNan(x[o]);
      }
    } else if constexpr (kSeldom != Seldom::kNever) {
      V copy[kCount];
#pragma GCC unroll 8
      for (int o = 0; o < kCount; ++o) copy[o] = x[o];
      float* const numbers = saved.At<kHolds>(op.slot, output);
      if constexpr (kSeldom == Seldom::kHere) {
        ApplyInMemory(op, numbers, kNext * kLanes, copy, kCount);
      } else {
        CallApply(op, numbers, kNext * kLanes, copy, kCount);
      }
#pragma GCC unroll 8
      for (int o = 0; o < kCount; ++o) x[o] = copy[o];
    }
  }
}

// What rounds to a stage's codes.
struct Rounding {
  MASE_INLINE explicit Rounding(const Stage& s)
      : result(s.result),
        grid(s.grid),
        zero(Set(s.zero)),
        least_stored(Set(static_cast<int32_t>(s.grid.least) + s.zero)),
        most_stored(Set(static_cast<int32_t>(s.grid.most) + s.zero)),
        divides(s.grid.divides),
        of_stage(s.grid) {}

  // Codes as whole numbers, not yet packed.
  template <Seldom kSeldom, int kCount>
  MASE_INLINE void Steps(const V (&x)[kCount], VI (&steps)[kCount]) const {
    V scaled[kCount];
    if (kSeldom != Seldom::kNever && divides) [[unlikely]] {
      Divide(of_stage, x, scaled);
    } else {
#pragma GCC unroll 8
      for (int o = 0; o < kCount; ++o) scaled[o] = grid.Scaled(x[o]);
    }
#pragma GCC unroll 8
    for (int o = 0; o < kCount; ++o) steps[o] = ToInt(scaled[o]) + zero;
  }

  const Result result;
  const Grid grid;
  const VI zero, least_stored, most_stored;
  const bool divides;
  const IntegerChainGrid& of_stage;
};

// Steps of a plain stage, neither clamped nor moved to `zero`.
template <Holds kHolds>
MASE_INLINE VI PlainSteps(const Stage& s, int64_t output, VI sum) {
  return ToInt(ToFloat(sum) * Per<kHolds>(s.scale + output));
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_INTEGER_CHAIN_SUMS_H_
