// Matrix products for the instruction set of simd.h: DenseKernels::product and ::weight_gradient.
//
// Both keep a tile of accumulators in registers over the whole depth, so that an operand loaded
// serves several multiply-adds and a result is stored once. Tile sizes leave room for the operands
// in 32 registers (AVX-512) or 16. Each result is one chain of multiply-adds in the order of the
// depth, so tile sizes do not show in the bits.
#ifndef MASE_KERNEL_DENSE_PRODUCT_KERNELS_H_
#define MASE_KERNEL_DENSE_PRODUCT_KERNELS_H_

#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

// A tile is kTileFeatures features times kTileGroups groups of rows.
constexpr int kTileFeatures = kLanes == 4 ? 2 : 6;
constexpr int kTileGroups = kLanes == 16 ? 4 : 1;

template <int kFeatures, int kGroups>
void ProductTile(const DenseProduct& p, int64_t feature, int64_t row) {
  constexpr int kRegisters = kGroups * kParts;
  V sum[kFeatures][kRegisters];
  const float* a = p.a + feature * p.a_stride;
  const float* b = p.b + row;
#pragma GCC unroll 8
  for (int m = 0; m < kFeatures; ++m) {
    const V bias = Set(p.bias == nullptr ? 0.0f : p.bias[feature + m]);
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) sum[m][n] = bias;
  }
  for (int64_t k = 0; k < p.depth; ++k) {
    V column[kRegisters];
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) column[n] = Load(b + n * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kFeatures; ++m) {
      const V factor = Set(a[m * p.a_stride]);
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) sum[m][n] = Fma(factor, column[n], sum[m][n]);
    }
    a += p.a_depth_stride;
    b += p.ld;
  }
  const V zero = Set(0.0f);
#pragma GCC unroll 8
  for (int m = 0; m < kFeatures; ++m) {
    const int64_t f = feature + m;
    if (p.scale != nullptr) {
      const V mean = Set(p.mean[f]), scale = Set(p.scale[f]), shift = Set(p.shift[f]);
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) sum[m][n] = Fma(sum[m][n] - mean, scale, shift);
    }
    if (p.relu) {
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) sum[m][n] = Max(zero, sum[m][n]);  // NaN stays NaN.
    }
    if (p.mask != nullptr) {
      const float* mask = p.mask + f * p.ld + row;
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) {
        sum[m][n] = Load(mask + n * kLanes) > zero ? sum[m][n] : zero;
      }
    }
    float* c = p.c + f * p.ld + row;
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) Store(c + n * kLanes, sum[m][n]);
  }
}

template <int kGroups>
void ProductColumns(const DenseProduct& p, int64_t row) {
  int64_t feature = 0;
  for (; feature + kTileFeatures <= p.features; feature += kTileFeatures) {
    ProductTile<kTileFeatures, kGroups>(p, feature, row);
  }
  switch (p.features - feature) {
    case 1:
      return ProductTile<1, kGroups>(p, feature, row);
#if MASE_DENSE_LANES > 4
    case 2:
      return ProductTile<2, kGroups>(p, feature, row);
    case 3:
      return ProductTile<3, kGroups>(p, feature, row);
    case 4:
      return ProductTile<4, kGroups>(p, feature, row);
    case 5:
      return ProductTile<5, kGroups>(p, feature, row);
#endif
  }
}

inline void Product(const DenseProduct& p) {
  int64_t group = 0;
  for (; group + kTileGroups <= p.groups; group += kTileGroups) {
    ProductColumns<kTileGroups>(p, group * kGroup);
  }
  switch (p.groups - group) {
#if MASE_DENSE_LANES == 16
    case 1:
      return ProductColumns<1>(p, group * kGroup);
    case 2:
      return ProductColumns<2>(p, group * kGroup);
    case 3:
      return ProductColumns<3>(p, group * kGroup);
#endif
  }
}

// A tile of the weight gradient: kTileOut x kTileIn dot products over the rows.
constexpr int kTileOut = kLanes == 16 ? 4 : kLanes == 8 ? 3 : 2;
constexpr int kTileIn = 4;

#if MASE_DENSE_LANES == 16
// All 16 sums of a tile in one tree, with half of the shuffles of four times Sum4.
MASE_INLINE void StoreSixteenSums(const V16 (&sum)[4][4], float* weight, int64_t stride) {
  V four[4];  // By column: four sums of row 0, 1, 2 and 3.
#pragma GCC unroll 4
  for (int n = 0; n < 4; ++n) {
    four[n] = AddQuarters(AddHalves(sum[0][n].part[0], sum[1][n].part[0]),
                          AddHalves(sum[2][n].part[0], sum[3][n].part[0]));
  }
  const V left = Shuffle<0x44>(four[0], four[1]) + Shuffle<0xee>(four[0], four[1]);
  const V right = Shuffle<0x44>(four[2], four[3]) + Shuffle<0xee>(four[2], four[3]);
  const V rows = Shuffle<0x88>(left, right) + Shuffle<0xdd>(left, right);
  _mm_storeu_ps(weight, _mm512_castps512_ps128(rows));
  _mm_storeu_ps(weight + stride, _mm512_extractf32x4_ps(rows, 1));
  _mm_storeu_ps(weight + 2 * stride, _mm512_extractf32x4_ps(rows, 2));
  _mm_storeu_ps(weight + 3 * stride, _mm512_extractf32x4_ps(rows, 3));
}
#endif

template <int kOut, int kIn>
MASE_INLINE void StoreTileSums(const V16 (&sum)[kOut][kTileIn], float* weight, int64_t stride) {
#if MASE_DENSE_LANES == 16
  if constexpr (kOut == 4 && kIn == 4) return StoreSixteenSums(sum, weight, stride);
#endif
#pragma GCC unroll 8
  for (int m = 0; m < kOut; ++m) {
    const __m128 sums = Sum4(sum[m][0], sum[m][1], sum[m][2], sum[m][3]);
    if constexpr (kIn == 4) {
      _mm_storeu_ps(weight + m * stride, sums);
    } else {
      for (int n = 0; n < kIn; ++n) weight[m * stride + n] = sums[n];
    }
  }
}

template <int kOut, int kIn>
void WeightTile(const DenseWeightGradient& p, int64_t o, int64_t i) {
  V16 sum[kOut][kTileIn];
  // One register of each group at a time: two or four times as many accumulators would not fit.
  for (int part = 0; part < kParts; ++part) {
    V lanes[kOut][kIn];
#pragma GCC unroll 8
    for (int m = 0; m < kOut; ++m) {
#pragma GCC unroll 8
      for (int n = 0; n < kIn; ++n) lanes[m][n] = Set(0.0f);
    }
    const float* diff = p.diff + o * p.ld + part * kLanes;
    const float* src = p.src + i * p.ld + part * kLanes;
    for (int64_t group = 0; group < p.groups; ++group) {
      V d[kOut];
#pragma GCC unroll 8
      for (int m = 0; m < kOut; ++m) d[m] = Load(diff + m * p.ld);
#pragma GCC unroll 8
      for (int n = 0; n < kIn; ++n) {
        const V s = Load(src + n * p.ld);
#pragma GCC unroll 8
        for (int m = 0; m < kOut; ++m) lanes[m][n] = Fma(d[m], s, lanes[m][n]);
      }
      diff += kGroup;
      src += kGroup;
    }
#pragma GCC unroll 8
    for (int m = 0; m < kOut; ++m) {
#pragma GCC unroll 8
      for (int n = 0; n < kTileIn; ++n) sum[m][n].part[part] = lanes[m][n < kIn ? n : kIn - 1];
    }
  }
  StoreTileSums<kOut, kIn>(sum, p.weight + o * p.in + i, p.in);
}

template <int kIn>
void WeightColumns(const DenseWeightGradient& p, int64_t i) {
  int64_t o = 0;
  for (; o + kTileOut <= p.out; o += kTileOut) WeightTile<kTileOut, kIn>(p, o, i);
  switch (p.out - o) {
    case 1:
      return WeightTile<1, kIn>(p, o, i);
#if MASE_DENSE_LANES > 4
    case 2:
      return WeightTile<2, kIn>(p, o, i);
#endif
#if MASE_DENSE_LANES > 8
    case 3:
      return WeightTile<3, kIn>(p, o, i);
#endif
  }
}

// Sums of four features at a time, so that four chains of additions overlap.
inline void RowSums(const float* x, int64_t ld, int64_t features, int64_t groups, float* sums) {
  for (int64_t f = 0; f < features; f += 4) {
    const int64_t count = features - f < 4 ? features - f : 4;
    V16 sum[4] = {ZeroGroup(), ZeroGroup(), ZeroGroup(), ZeroGroup()};
    for (int64_t group = 0; group < groups; ++group) {
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) {
        const float* row = x + (f + (n < count ? n : 0)) * ld + group * kGroup;
#pragma GCC unroll 4
        for (int part = 0; part < kParts; ++part) sum[n].part[part] += Load(row + part * kLanes);
      }
    }
    const __m128 four = Sum4(sum[0], sum[1], sum[2], sum[3]);
    for (int n = 0; n < count; ++n) sums[f + n] = four[n];
  }
}

inline void WeightGradient(const DenseWeightGradient& p) {
  int64_t i = 0;
  for (; i + kTileIn <= p.in; i += kTileIn) WeightColumns<kTileIn>(p, i);
  switch (p.in - i) {
    case 1:
      WeightColumns<1>(p, i);
      break;
    case 2:
      WeightColumns<2>(p, i);
      break;
    case 3:
      WeightColumns<3>(p, i);
      break;
  }
  if (p.bias != nullptr) RowSums(p.diff, p.ld, p.out, p.groups, p.bias);
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_PRODUCT_KERNELS_H_
