// Batch norm, ReLU and dropout for the instruction set of simd.h.
#ifndef MASE_KERNEL_DENSE_NORM_KERNELS_H_
#define MASE_KERNEL_DENSE_NORM_KERNELS_H_

#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

// Calls body(offset, keep) for each register of one feature's rows: `keep` has ones in the lanes of
// rows and zeros in those of padding.
template <typename Body>
MASE_INLINE void ForEachPart(int64_t rows, const Body& body) {
  const VI all = ~VI{};
  const int64_t whole = rows / kGroup * kGroup;
  for (int64_t r = 0; r < whole; r += kGroup) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) body(part, r + part * kLanes, all);
  }
  if (whole == rows) return;
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) {
    const int64_t r = whole + part * kLanes;
    VI lane;
    for (int i = 0; i < kLanes; ++i) lane[i] = i;
    body(part, r, lane < static_cast<int32_t>(rows - r));
  }
}

// The rows with their padding.
MASE_INLINE int64_t Padded(int64_t rows) { return (rows + kGroup - 1) / kGroup * kGroup; }

MASE_INLINE V Keep(VI keep, V x) { return reinterpret_cast<V>(reinterpret_cast<VI>(x) & keep); }

// Four features at a time, so that four chains of additions overlap; the last of them again where
// there are fewer.
struct FourFeatures {
  FourFeatures(const DenseShape& shape, int64_t f)
      : count(shape.features - f < 4 ? shape.features - f : 4) {
    for (int n = 0; n < 4; ++n) feature[n] = f + (n < count ? n : count - 1);
  }
  void Store(float* dst, __m128 values) const {
    for (int n = 0; n < count; ++n) dst[feature[n]] = values[n];
  }

  int64_t count;
  int64_t feature[4];
};

MASE_INLINE __m128 Sum4(const V16 (&sum)[4]) { return Sum4(sum[0], sum[1], sum[2], sum[3]); }

inline void Moments(const DenseShape& shape, const float* x, float* sum, float* squares) {
  const float rows = static_cast<float>(shape.rows);
  for (int64_t f = 0; f < shape.features; f += 4) {
    const FourFeatures four(shape, f);
    const float* row[4];
    for (int n = 0; n < 4; ++n) row[n] = x + four.feature[n] * shape.ld;
    V16 total[4] = {ZeroGroup(), ZeroGroup(), ZeroGroup(), ZeroGroup()};
    ForEachPart(shape.rows, [&](int part, int64_t r, VI keep) {
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) total[n].part[part] += Keep(keep, Load(row[n] + r));
    });
    const __m128 sums = Sum4(total);
    four.Store(sum, sums);
    V mean[4];
    for (int n = 0; n < 4; ++n) mean[n] = Set(sums[n] / rows);
    V16 square[4] = {ZeroGroup(), ZeroGroup(), ZeroGroup(), ZeroGroup()};
    ForEachPart(shape.rows, [&](int part, int64_t r, VI keep) {
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) {
        const V distance = Keep(keep, Load(row[n] + r) - mean[n]);
        square[n].part[part] = Fma(distance, distance, square[n].part[part]);
      }
    });
    four.Store(squares, Sum4(square));
  }
}

inline void Normalize(const DenseShape& shape, const float* x, const float* mean,
                      const float* scale, const float* shift, bool relu, float* y) {
  const V floor = Set(relu ? 0.0f : -__builtin_inff());
  const int64_t rows = Padded(shape.rows);
  for (int64_t f = 0; f < shape.features; ++f) {
    const V m = Set(mean[f]), s = Set(scale[f]), b = Set(shift[f]);
    const int64_t row = f * shape.ld;
    for (int64_t r = row; r < row + rows; r += kLanes) {
      Store(y + r, Max(floor, Fma(Load(x + r) - m, s, b)));
    }
  }
}

inline void NormGradientSums(const DenseShape& shape, const float* diff, const float* x,
                             const float* mean, float* diff_sum, float* product_sum) {
  const int64_t rows = Padded(shape.rows);  // The padding of diff is zero.
  for (int64_t f = 0; f < shape.features; f += 4) {
    const FourFeatures four(shape, f);
    V16 diffs[4] = {ZeroGroup(), ZeroGroup(), ZeroGroup(), ZeroGroup()};
    V16 products[4] = {ZeroGroup(), ZeroGroup(), ZeroGroup(), ZeroGroup()};
    V means[4];
    for (int n = 0; n < 4; ++n) means[n] = Set(mean[four.feature[n]]);
    ForEachPart(rows, [&](int part, int64_t r, VI) {
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) {
        const int64_t at = four.feature[n] * shape.ld + r;
        const V d = Load(diff + at);
        diffs[n].part[part] += d;
        products[n].part[part] = Fma(d, Load(x + at) - means[n], products[n].part[part]);
      }
    });
    four.Store(diff_sum, Sum4(diffs));
    four.Store(product_sum, Sum4(products));
  }
}

inline void NormGradient(const DenseShape& shape, const float* x, const float* mean,
                         const float* offset, const float* slope, const float* scale, float* diff) {
  for (int64_t f = 0; f < shape.features; ++f) {
    const int64_t row = f * shape.ld;
    const V m = Set(mean[f]), o = Set(offset[f]), s = Set(-slope[f]), c = Set(scale[f]);
    ForEachPart(shape.rows, [&](int, int64_t r, VI keep) {
      const V d = Fma(Load(x + row + r) - m, s, Load(diff + row + r) - o) * c;
      Store(diff + row + r, Keep(keep, d));
    });
  }
}

inline void Relu(const DenseShape& shape, const float* x, float* y) {
  const V zero = Set(0.0f);
  const int64_t rows = Padded(shape.rows);
  for (int64_t f = 0; f < shape.features; ++f) {
    const int64_t row = f * shape.ld;
    for (int64_t r = row; r < row + rows; r += kLanes) Store(y + r, Max(zero, Load(x + r)));
  }
}

inline void ReluGradient(const DenseShape& shape, const float* y, float* diff) {
  const V zero = Set(0.0f);
  const int64_t rows = Padded(shape.rows);
  for (int64_t f = 0; f < shape.features; ++f) {
    const int64_t row = f * shape.ld;
    for (int64_t r = row; r < row + rows; r += kLanes) {
      Store(diff + r, Keep(Load(y + r) > zero, Load(diff + r)));
    }
  }
}

inline void Multiply(const DenseShape& shape, const float* x, const float* factor, float* y) {
  const int64_t rows = Padded(shape.rows);
  for (int64_t f = 0; f < shape.features; ++f) {
    const int64_t row = f * shape.ld;
    for (int64_t r = row; r < row + rows; r += kLanes) {
      Store(y + r, Load(x + r) * Load(factor + r));
    }
  }
}

// The upper 16 bits; a NaN keeps being one.
MASE_INLINE V RoundToBfloat16(V x) {
  using VU = uint32_t __attribute__((vector_size(4 * kLanes)));
  const VU bits = reinterpret_cast<VU>(x);
  const VU rounded = bits + 0x7fff + (bits >> 16 & 1);
  return reinterpret_cast<V>((x == x ? rounded : bits | 0x400000) & 0xffff0000);
}

inline void RoundToBfloat16(int64_t n, const float* x, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(y + i, RoundToBfloat16(Load(x + i)));
  for (; i < n; ++i) y[i] = RoundToBfloat16(Set(x[i]))[0];
}

inline void Accumulate(int64_t n, const float* x, float* sum) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(sum + i, Load(sum + i) + Load(x + i));
  for (; i < n; ++i) sum[i] += x[i];
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_NORM_KERNELS_H_
