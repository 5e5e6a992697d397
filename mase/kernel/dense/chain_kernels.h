// Chains of layers in inference for the instruction set of simd.h: DenseChainLoops::row and
// ::block. Unlike those of training they hold activations row-major: a row by itself
// fills registers with neighbouring features.
//
// Each result is one chain of multiply-adds in the order of the depth, from zero, with bias, norm
// and ReLU behind it: what the layers' own kernels (gemm.cc, batch_norm.cc) compute, to the bit, so
// tile sizes and the number of rows do not show.
#ifndef MASE_KERNEL_DENSE_CHAIN_KERNELS_H_
#define MASE_KERNEL_DENSE_CHAIN_KERNELS_H_

#include <cstring>
#include <utility>

#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

MASE_INLINE V16 LoadGroup(const float* p) {
  V16 group;
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) group.part[part] = Load(p + part * kLanes);
  return group;
}

MASE_INLINE void StoreGroup(float* p, const V16& group) {
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) Store(p + part * kLanes, group.part[part]);
}

// (x - mean) * scale + shift, what is added, and the ReLU, where the stage has them, on 16
// features; `added` are those of the same row, or null.
MASE_INLINE void Finish(const DenseChainStage& s, int64_t feature, const float* added, V16& x) {
  if (s.mean != nullptr) {
    const float* mean = s.mean + feature;
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part, mean += kLanes) {
      x.part[part] =
          Fma(x.part[part] - Load(mean), Load(mean + s.stride), Load(mean + 2 * s.stride));
    }
  }
  if (added != nullptr) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) x.part[part] += Load(added + part * kLanes);
  }
  if (s.relu) {
    const V zero = Set(0.0f);
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) {
      x.part[part] = Max(zero, x.part[part]);  // NaN stays NaN.
    }
  }
}

// What one step of the depth adds to the sums.
template <int kRows, int kGroups>
MASE_INLINE void AddStep(const float* src, int64_t src_stride, const float* weight,
                         V16 (&sums)[kRows][kGroups]) {
  V16 columns[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) columns[g] = LoadGroup(weight + g * kGroup);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const V factor = Set(src[r * src_stride]);
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) {
        sums[r][g].part[part] = Fma(factor, columns[g].part[part], sums[r][g].part[part]);
      }
    }
  }
}

// kRows rows by kGroups groups of features from `feature` on, in a strip of kStrip groups whose
// weights, from that feature on, begin at `weight`; `added` has the same rows, or is null. For one
// row the loop takes several steps at a time: fewer instructions, so that the processor begins with
// the next row while it waits for this one's sums.
template <int kRows, int kGroups, int kStrip>
MASE_INLINE void ChainTile(const DenseChainStage& s, const float* weight, const float* src,
                           int64_t src_stride, int64_t feature, const float* added, float* dst) {
  constexpr int64_t kStride = kStrip * kGroup, kSteps = kRows == 1 ? 4 : 1;
  V16 sums[kRows][kGroups];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) sums[r][g] = ZeroGroup();
  }
  int64_t k = 0;
  for (; k + kSteps <= s.in; k += kSteps, weight += kSteps * kStride) {
#pragma GCC unroll 4
    for (int64_t i = 0; i < kSteps; ++i)
      AddStep(src + k + i, src_stride, weight + i * kStride, sums);
  }
  for (; k < s.in; ++k, weight += kStride) AddStep(src + k, src_stride, weight, sums);
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
    const int64_t at = feature + g * kGroup;
    const V16 bias = LoadGroup(s.bias + at);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) sums[r][g].part[part] += bias.part[part];
      Finish(s, at, added == nullptr ? nullptr : added + r * s.stride + at, sums[r][g]);
      StoreGroup(dst + r * s.stride + at, sums[r][g]);
    }
  }
}

#if MASE_DENSE_LANES == 16
// The same eight numbers in both halves.
MASE_INLINE V Twice(const float* p) { return _mm512_broadcast_f32x8(_mm256_loadu_ps(p)); }

// Four numbers of each row, in both quarters of its half.
MASE_INLINE V FourOfTwoRows(const float* a, const float* b) {
  return _mm512_mask_broadcast_f32x4(_mm512_broadcast_f32x4(_mm_loadu_ps(a)), 0xff00,
                                     _mm_loadu_ps(b));
}

constexpr int kNarrow = 8;

// The last features of a layer, where they are eight at most: a register holds them for two rows.
// 2 * kPairs rows, else as ChainTile; nothing is written behind the features.
template <int kPairs>
inline void NarrowTile(const DenseChainStage& s, const float* weight, const float* src,
                       int64_t src_stride, int64_t feature, float* dst, int64_t dst_stride) {
  V sums[kPairs];
#pragma GCC unroll 8
  for (int p = 0; p < kPairs; ++p) sums[p] = Set(0.0f);
  int64_t k = 0;
  for (; k + 4 <= s.in; k += 4, weight += 4 * kGroup) {
    const V columns[] = {Twice(weight), Twice(weight + kGroup), Twice(weight + 2 * kGroup),
                         Twice(weight + 3 * kGroup)};
#pragma GCC unroll 8
    for (int p = 0; p < kPairs; ++p) {
      const float* row = src + 2 * p * src_stride + k;
      const V x = FourOfTwoRows(row, row + src_stride);
      sums[p] = Fma(Shuffle<0x00>(x, x), columns[0], sums[p]);
      sums[p] = Fma(Shuffle<0x55>(x, x), columns[1], sums[p]);
      sums[p] = Fma(Shuffle<0xaa>(x, x), columns[2], sums[p]);
      sums[p] = Fma(Shuffle<0xff>(x, x), columns[3], sums[p]);
    }
  }
  for (; k < s.in; ++k, weight += kGroup) {
    const V column = Twice(weight);
#pragma GCC unroll 8
    for (int p = 0; p < kPairs; ++p) {
      const float* row = src + 2 * p * src_stride + k;
      const V x = _mm512_mask_broadcastss_ps(Set(row[0]), 0xff00, _mm_load_ss(row + src_stride));
      sums[p] = Fma(x, column, sums[p]);
    }
  }
  const V bias = Twice(s.bias + feature), zero = Set(0.0f);
  const __mmask8 which = static_cast<__mmask8>((1 << (s.out - feature)) - 1);
#pragma GCC unroll 8
  for (int p = 0; p < kPairs; ++p) {
    V x = sums[p] + bias;
    if (s.mean != nullptr) {
      const float* mean = s.mean + feature;
      x = Fma(x - Twice(mean), Twice(mean + s.stride), Twice(mean + 2 * s.stride));
    }
    if (s.relu) x = Max(zero, x);  // NaN stays NaN.
    float* row = dst + 2 * p * dst_stride + feature;
    _mm256_mask_storeu_ps(row, which, _mm512_castps512_ps256(x));
    _mm256_mask_storeu_ps(row + dst_stride, which, _mm512_extractf32x8_ps(x, 1));
  }
}

// Such tiles for all rows but the last of an odd number; returns how many that is.
inline int64_t NarrowRows(const DenseChainStage& s, const float* weight, const float* src,
                          int64_t src_stride, int64_t feature, int64_t rows, float* dst,
                          int64_t dst_stride) {
  constexpr int kPairs = 6;
  int64_t r = 0;
  for (; r + 2 * kPairs <= rows; r += 2 * kPairs) {
    NarrowTile<kPairs>(s, weight, src + r * src_stride, src_stride, feature, dst + r * dst_stride,
                       dst_stride);
  }
  for (; r + 2 <= rows; r += 2) {
    NarrowTile<1>(s, weight, src + r * src_stride, src_stride, feature, dst + r * dst_stride,
                  dst_stride);
  }
  return r;
}
#endif

// Groups and rows of a tile: what fills the registers. A row by itself waits for one multiply-add
// after the other, so it takes many features at a time.
constexpr int kRowGroups = kLanes == 4 ? 2 : 4;
constexpr int kBlockGroups = kLanes == 16 ? 4 : 1;
template <int kGroups>
constexpr int kBlockRows = kLanes == 16  ? (kGroups == 4 ? 6 : 8)
                           : kLanes == 8 ? 6
                                         : 2;

// One strip of kStrip groups from `feature` on, of all rows; fewer rows than a tile has are half of
// one and then one by one.
template <bool kOneRow, int kStrip>
MASE_INLINE void ChainStrip(const DenseChainStage& s, int64_t feature, const float* src,
                            int64_t src_stride, int64_t rows, const float* added, float* dst) {
  constexpr int kMost = kOneRow ? kRowGroups : kBlockGroups;
  constexpr int kGroups = kStrip < kMost ? kStrip : kMost;
  const float* weight = s.weight + feature * s.in;
  const auto row_of = [&](const float* matrix, int64_t r) {
    return matrix == nullptr ? nullptr : matrix + r * s.stride;
  };
  for (int g = 0; g < kStrip;
       g += kGroups, weight += kGroups * kGroup, feature += kGroups * kGroup) {
    int64_t r = 0;
    if constexpr (!kOneRow) {
#if MASE_DENSE_LANES == 16
      if (kStrip == 1 && s.out - feature <= kNarrow && added == nullptr) {
        r = NarrowRows(s, weight, src, src_stride, feature, rows, dst, s.stride);
      }
#endif
      constexpr int kRows = kBlockRows<kGroups>, kHalf = kRows / 2;
      for (; r + kRows <= rows; r += kRows) {
        ChainTile<kRows, kGroups, kStrip>(s, weight, src + r * src_stride, src_stride, feature,
                                          row_of(added, r), dst + r * s.stride);
      }
      if (kHalf > 1 && r + kHalf <= rows) {
        ChainTile<kHalf, kGroups, kStrip>(s, weight, src + r * src_stride, src_stride, feature,
                                          row_of(added, r), dst + r * s.stride);
        r += kHalf;
      }
    }
    for (; r < rows; ++r) {
      ChainTile<1, kGroups, kStrip>(s, weight, src + r * src_stride, src_stride, feature,
                                    row_of(added, r), dst + r * s.stride);
    }
  }
}

// `count` features, as many as a group has of them and zeros. In memory they would wait for what is
// stored in parts and loaded as a whole.
MASE_INLINE V16 LoadGroupOf(const float* p, int64_t count) {
#if MASE_DENSE_LANES == 16
  const __mmask16 which = count < kGroup ? static_cast<__mmask16>((1 << count) - 1) : 0xffff;
  return {_mm512_maskz_loadu_ps(which, p)};
#else
  float last[kGroup] = {};
  if (count < kGroup) {
    p = static_cast<const float*>(std::memcpy(last, p, static_cast<size_t>(count) * sizeof(float)));
  }
  return LoadGroup(p);
#endif
}

// A stage that is no product. Rows of `src` may end inside of a group; what the next row then has
// there becomes padding, which nobody reads. Behind the last row there is nothing to load.
inline void ChainPointwise(const DenseChainStage& s, const float* src, int64_t src_stride,
                           int64_t rows, const float* added, float* dst) {
  for (int64_t r = 0; r < rows; ++r, src += src_stride, dst += s.stride) {
    for (int64_t f = 0; f < s.out; f += kGroup) {
      V16 x = LoadGroupOf(src + f, (rows - r) * src_stride - f);
      Finish(s, f, added == nullptr ? nullptr : added + r * s.stride + f, x);
      StoreGroup(dst + f, x);
    }
  }
}

// As memcpy, without a call: results of a row are few.
MASE_INLINE void CopyFloats(const float* src, int64_t count, float* dst) {
  for (; count >= kGroup; count -= kGroup, src += kGroup, dst += kGroup) {
    StoreGroup(dst, LoadGroup(src));
  }
#pragma GCC unroll 4
  for (int64_t part = kGroup / 2; part > 0; part /= 2) {
    if ((count & part) == 0) continue;
    std::memcpy(dst, src, static_cast<size_t>(part) * sizeof(float));
    src += part;
    dst += part;
  }
}

template <bool kOneRow>
MASE_INLINE void RunChain(const DenseChain& chain, const float* rows_of_chain, int64_t rows,
                          float* dst, float* scratch) {
  const int64_t matrix = rows * chain.widest;
  float* to = nullptr;
  for (int64_t i = 0; i < chain.stage_count; ++i) {
    const DenseChainStage& s = chain.stages[i];
    const float* src = s.from < 0 ? rows_of_chain : scratch + s.from * matrix;
    const float* const added = s.add < 0 ? nullptr : scratch + s.add * matrix;
    int64_t feature = 0;
    // Rows of whole groups are written to where they go.
    const bool writes_results = i + 1 == chain.stage_count && s.out == s.stride;
    to = writes_results ? dst : scratch + s.to * matrix;
#if MASE_DENSE_LANES == 16
    if (!kOneRow && i + 1 == chain.stage_count && s.weight != nullptr && s.out <= kNarrow &&
        added == nullptr) {
      // Without a matrix in between; a row that is left goes the way of all others.
      const int64_t done = NarrowRows(s, s.weight, src, s.src_stride, 0, rows, dst, chain.out);
      src += done * s.src_stride;
      dst += done * chain.out;
      rows -= done;
    }
#endif
    if (s.weight == nullptr) ChainPointwise(s, src, s.src_stride, rows, added, to);
    while (s.weight != nullptr && feature < s.stride) {
      const int64_t groups = DenseChainStrip(s.stride, feature);
      if (groups == 4) {
        ChainStrip<kOneRow, 4>(s, feature, src, s.src_stride, rows, added, to);
      } else if (groups == 2) {
        ChainStrip<kOneRow, 2>(s, feature, src, s.src_stride, rows, added, to);
      } else {
        ChainStrip<kOneRow, 1>(s, feature, src, s.src_stride, rows, added, to);
      }
      feature += groups * kGroup;
    }
    if (writes_results) return;
  }
  const int64_t stride = chain.stages[chain.stage_count - 1].stride;
  for (int64_t r = 0; r < rows; ++r) CopyFloats(to + r * stride, chain.out, dst + r * chain.out);
}

inline bool ChainRow(const void* chain, const void* src, void* dst, void* scratch) {
  RunChain<true>(*static_cast<const DenseChain*>(chain), static_cast<const float*>(src), 1,
                 static_cast<float*>(dst), static_cast<float*>(scratch));
  return true;
}

inline void ChainBlock(const DenseChain& chain, const float* src, int64_t rows, float* dst,
                       float* scratch) {
  RunChain<false>(chain, src, rows, dst, scratch);
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_CHAIN_KERNELS_H_
