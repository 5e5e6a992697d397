// A row by itself through an integer chain: registers hold neighbouring outputs.
#ifndef MASE_KERNEL_DENSE_INTEGER_CHAIN_ROW_H_
#define MASE_KERNEL_DENSE_INTEGER_CHAIN_ROW_H_

#include <cstring>
#include <utility>

#include "mase/kernel/dense/integer_chain_sums.h"

namespace mase::MASE_DENSE_NAMESPACE {

struct VI16 {
  VI part[kParts];
};

typedef int16_t Words8 __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));
typedef uint8_t Bytes4 __attribute__((vector_size(kLanes), aligned(1), may_alias));

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

template <Seldom kSeldom>
MASE_INLINE void StoreNumbers(const Stage& s, const Rounding& rounding, int64_t output,
                              const Saved& saved, V number, void* dst) {
  V x[] = {number};
  Apply<Holds::kOutputs, kSeldom>(s, output, saved, x);
  if (s.result == Result::kFloats) return Store(static_cast<float*>(dst) + output, x[0]);
  VI steps[1];
  rounding.Steps<kSeldom>(x, steps);
  StoreSteps(s.result, steps[0], output, dst);
}

// Apart, so that what is seldom takes no registers from the rest.
[[gnu::noinline]] inline void StoreSeldom(const Stage& s, int64_t output, const Saved& saved,
                                          const V* number, void* dst) {
  StoreNumbers<Seldom::kHere>(s, Rounding(s), output, saved, *number, dst);
}

#if MASE_DENSE_LANES == 4
[[gnu::noinline]] inline  // Of such registers a row has many.
#else
MASE_INLINE
#endif
    void
    StoreRow(const Stage& s, int64_t output, const Saved& saved, VI sum, void* dst) {
  const Rounding rounding(s);
  if (s.plain) {
    VI steps = PlainSteps<Holds::kOutputs>(s, output, sum) + rounding.zero;
    steps = steps > rounding.least_stored ? steps : rounding.least_stored;
    steps = steps < rounding.most_stored ? steps : rounding.most_stored;
    return StoreSteps(Result::kBytes, steps, output, dst);
  }
  const V x = Number<Holds::kOutputs>(s, output, sum);
  if (s.seldom) [[unlikely]]
    return StoreSeldom(s, output, saved, &x, dst);
  StoreNumbers<Seldom::kNever>(s, rounding, output, saved, x, dst);
}

// kGroups times 16 outputs from `output` on, in a strip of kStrip of them.
template <bool kBytes, int kGroups, int kStrip>
MASE_INLINE void RowTile(const Stage& s, const int32_t* weight, const int32_t* codes,
                         int64_t output, const Saved& saved, void* dst) {
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
      StoreRow(s, output + g * kGroup + part * kLanes, saved, sums[g].part[part], dst);
    }
  }
}

constexpr int kRowGroups = kLanes == 4 ? 2 : 4;

template <bool kBytes, int kStrip>
MASE_INLINE void RowStrip(const Stage& s, const int32_t* codes, int64_t output, const Saved& saved,
                          void* dst) {
  constexpr int kGroups = kStrip < kRowGroups ? kStrip : kRowGroups;
  const int32_t* weight = s.row_weight + output * s.steps;
#pragma GCC unroll 2
  for (int g = 0; g < kStrip; g += kGroups) {
    RowTile<kBytes, kGroups, kStrip>(s, weight + g * kGroup, codes, output + g * kGroup, saved,
                                     dst);
  }
}

template <bool kBytes>
MASE_INLINE void RowProduct(const Stage& s, const int32_t* codes, const Saved& saved, void* dst) {
  int64_t output = 0;
  for (; output + 4 * kGroup <= s.stride; output += 4 * kGroup) {
    RowStrip<kBytes, 4>(s, codes, output, saved, dst);
  }
  if (output + 2 * kGroup <= s.stride) {
    RowStrip<kBytes, 2>(s, codes, output, saved, dst);
    output += 2 * kGroup;
  }
  if (output < s.stride) RowStrip<kBytes, 1>(s, codes, output, saved, dst);
}

template <Seldom kSeldom>
MASE_INLINE bool EncodeNumbers(const Stage& s, int64_t in, const Rounding& rounding,
                               const float* src, void* dst) {
  bool has_nan = false;
  const auto encode = [&](int64_t f, V number) __attribute__((always_inline)) {
    has_nan |= HasNan(number);
    V x[] = {number};
    if (s.op_count > 0) Apply<Holds::kOutputs, kSeldom>(s, f, Saved(), x, &has_nan);
    VI steps[1];
    rounding.Steps<kSeldom>(x, steps);
    StoreSteps(rounding.result, steps[0], f, dst);
  };
  int64_t f = 0;
  for (; f + kLanes <= in; f += kLanes) encode(f, Load(src + f));
  if (f == in) return !has_nan;
  float last[kLanes] = {};
  for (int64_t i = 0; f + i < in; ++i) last[i] = src[f + i];
  encode(f, Load(last));
  return !has_nan;
}

[[gnu::noinline]] inline bool EncodeSeldom(const Stage& s, int64_t in, const float* src,
                                           void* dst) {
  return EncodeNumbers<Seldom::kHere>(s, in, Rounding(s), src, dst);
}

// The first stage: a row of the caller's, which ends anywhere. False if it has a NaN, or a norm
// makes one of it.
MASE_INLINE bool EncodeRow(const Stage& s, int64_t in, const Rounding& rounding, const float* src,
                           void* dst) {
  if (s.seldom) [[unlikely]]
    return EncodeSeldom(s, in, src, dst);
  return EncodeNumbers<Seldom::kNever>(s, in, rounding, src, dst);
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

// A stage of saved numbers. False if they have a NaN, or a norm makes one of them. What lies behind
// the last output are zeros in each slot, up to `stride`.
inline bool RunSavedRow(const Stage& s, const Saved& saved, void* dst) {
  const Rounding rounding(s);
  bool has_nan = false;
  for (int64_t f = 0; f < s.stride; f += kLanes) {
    V x[] = {Load(saved.At<Holds::kOutputs>(s.slot, f))};
    has_nan |= HasNan(x[0]);
    Apply<Holds::kOutputs, Seldom::kHere>(s, f, saved, x, &has_nan);
    if (s.result == Result::kFloats) {
      Store(static_cast<float*>(dst) + f, x[0]);
      continue;
    }
    VI steps[1];
    rounding.Steps<Seldom::kHere>(x, steps);
    StoreSteps(s.result, steps[0], f, dst);
  }
  return !has_nan;
}

// The input, and zeros behind it, to the first slot.
MASE_INLINE void SaveRow(const float* src, int64_t count, const Saved& saved) {
  CopyRow(src, count, saved.numbers);
  for (; count % kGroup != 0; ++count) saved.numbers[count] = 0;
}

inline bool Row(const void* prepared, const void* src, void* dst, void* scratch) {
  const IntegerChain& chain = *static_cast<const IntegerChain*>(prepared);
  int32_t* from = static_cast<int32_t*>(scratch);
  int32_t* to = from + chain.widest;
  const Saved saved = {static_cast<float*>(scratch) + 2 * chain.widest, chain.widest};
  const Stage* s = chain.stages;
  bool ok;
  if (s->slot < 0) {
    ok = EncodeRow(*s, chain.in, Rounding(*s), static_cast<const float*>(src), from);
  } else {
    SaveRow(static_cast<const float*>(src), chain.in, saved);
    ok = RunSavedRow(*s, saved, from);
  }
  for (const Stage* end = s++ + chain.stage_count; s != end; ++s) {
    if (s->slot >= 0) [[unlikely]] {
      ok &= RunSavedRow(*s, saved, to);
      std::swap(from, to);
      continue;
    }
#ifdef MASE_DENSE_VNNI
    if (s->bytes) {
      RowProduct<true>(*s, from, saved, to);
      std::swap(from, to);
      continue;
    }
#endif
    RowProduct<false>(*s, from, saved, to);
    std::swap(from, to);
  }
  CopyRow(reinterpret_cast<const float*>(from), chain.out, static_cast<float*>(dst));
  return ok;
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_INTEGER_CHAIN_ROW_H_
