// Between row-major and by-feature storage, for the instruction set of simd.h.
#ifndef MASE_KERNEL_DENSE_LAYOUT_KERNELS_H_
#define MASE_KERNEL_DENSE_LAYOUT_KERNELS_H_

#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

// Features f to f + 3 of kLanes rows: each quarter of the registers is transposed.
MASE_INLINE void LoadFourFeatures(const float* const* rows, int64_t f, int64_t ld, float* dst) {
  const V a = LoadQuarters(rows, f), b = LoadQuarters(rows + 1, f);
  const V c = LoadQuarters(rows + 2, f), d = LoadQuarters(rows + 3, f);
  const V ab_low = Shuffle<0x44>(a, b), ab_high = Shuffle<0xee>(a, b);
  const V cd_low = Shuffle<0x44>(c, d), cd_high = Shuffle<0xee>(c, d);
  Store(dst, Shuffle<0x88>(ab_low, cd_low));
  Store(dst + ld, Shuffle<0xdd>(ab_low, cd_low));
  Store(dst + 2 * ld, Shuffle<0x88>(ab_high, cd_high));
  Store(dst + 3 * ld, Shuffle<0xdd>(ab_high, cd_high));
}

inline void LoadByFeature(const DenseShape& shape, const float* src, const int64_t* index,
                          float* dst) {
  const auto row = [&](int64_t r) {
    return src + (index == nullptr ? r : index[r]) * shape.features;
  };
  for (int64_t r = 0; r < shape.rows; r += kGroup) {
    // Picked rows are far apart; ask for both ends of the next ones before they are needed.
    for (int64_t i = r + kGroup; i < r + 2 * kGroup && i < shape.rows; ++i) {
      __builtin_prefetch(row(i));
      __builtin_prefetch(row(i) + shape.features - 1);
    }
    const int64_t count = shape.rows - r < kGroup ? shape.rows - r : kGroup;
    const float* rows[kGroup];
    for (int64_t i = 0; i < count; ++i) rows[i] = row(r + i);
    int64_t f = 0;
    for (; count == kGroup && f + 4 <= shape.features; f += 4) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) {
        LoadFourFeatures(rows + part * kLanes, f, shape.ld, dst + f * shape.ld + r + part * kLanes);
      }
    }
    for (; f < shape.features; ++f) {
      float* out = dst + f * shape.ld + r;
      for (int64_t i = 0; i < kGroup; ++i) out[i] = i < count ? rows[i][f] : 0.0f;
    }
  }
}

inline void StoreByRow(const DenseShape& shape, const float* src, float* dst) {
  for (int64_t r = 0; r < shape.rows; r += kGroup) {
    const int64_t end = r + kGroup < shape.rows ? r + kGroup : shape.rows;
    for (int64_t f = 0; f < shape.features; ++f) {
      for (int64_t i = r; i < end; ++i) dst[i * shape.features + f] = src[f * shape.ld + i];
    }
  }
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_LAYOUT_KERNELS_H_
