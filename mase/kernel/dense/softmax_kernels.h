// Soft-max cross-entropy for the instruction set of simd.h, 16 rows at a time.
#ifndef MASE_KERNEL_DENSE_SOFTMAX_KERNELS_H_
#define MASE_KERNEL_DENSE_SOFTMAX_KERNELS_H_

#include "mase/kernel/dense/kernels.h"
#include "mase/kernel/dense/simd.h"

namespace mase::MASE_DENSE_NAMESPACE {

// exp(x) to 1 ulp for x <= 0; zero where it is below the smallest normal number. NaN stays NaN.
// x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) = 1 + r + r^2 p(r) with Cephes' polynomial.
MASE_INLINE V Exp(V x) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  const V magic = Set(12582912.0f);
  const V clamped = Max(Set(-88.0f), x);
  const V shifted = clamped * Set(1.44269504088896341f) + magic;
  const V n = shifted - magic;
  const V r = Fma(n, Set(2.12194440e-4f), Fma(n, Set(-0.693359375f), clamped));
  V p = Set(1.9875691500e-4f);
  p = Fma(p, r, Set(1.3981999507e-3f));
  p = Fma(p, r, Set(8.3334519073e-3f));
  p = Fma(p, r, Set(4.1665795894e-2f));
  p = Fma(p, r, Set(1.6666665459e-1f));
  p = Fma(p, r, Set(5.0000001201e-1f));
  const V value = Fma(p, r * r, r) + Set(1.0f);
  const VI power = (reinterpret_cast<VI>(shifted) + 127) << 23;  // 2^n; the magic's bits shift out.
  const VI normal = !(x < Set(-87.0f));
  return reinterpret_cast<V>(reinterpret_cast<VI>(value * reinterpret_cast<V>(power)) & normal);
}

// log(x) to 1 ulp for normal x. NaN stays NaN. x = 2^n m, sqrt(1/2) <= m < sqrt(2); Cephes.
MASE_INLINE V Log(V x) {
  const VI bits = reinterpret_cast<VI>(x);
  // As integers, subtracting sqrt(1/2) puts the exponent of m's range into the high bits.
  const VI offset = bits - 0x3f3504f3;
  const VI exponent = offset >> 23;
  const V n = __builtin_convertvector(exponent, V);
  const V m = reinterpret_cast<V>(bits - (exponent << 23)) - Set(1.0f);
  V p = Set(7.0376836292e-2f);
  p = Fma(p, m, Set(-1.1514610310e-1f));
  p = Fma(p, m, Set(1.1676998740e-1f));
  p = Fma(p, m, Set(-1.2420140846e-1f));
  p = Fma(p, m, Set(1.4249322787e-1f));
  p = Fma(p, m, Set(-1.6668057665e-1f));
  p = Fma(p, m, Set(2.0000714765e-1f));
  p = Fma(p, m, Set(-2.4999993993e-1f));
  p = Fma(p, m, Set(3.3333331174e-1f));
  const V square = m * m;
  V y = p * m * square;
  y = Fma(n, Set(-2.12194440e-4f), y);
  y = Fma(square, Set(-0.5f), y);
  y = Fma(n, Set(0.693359375f), m + y);
  return x == x ? y : x;
}

// Where the scores of one register of rows lie.
struct ScoreLayout {
  bool by_feature;  // The rows of a class are neighbours, and padding may be touched.
  int64_t row_stride;
  int64_t class_stride;
  int64_t valid;  // How many of the lanes are rows.
};

MASE_INLINE V LoadScores(const float* p, const ScoreLayout& layout) {
  if (layout.by_feature) return Load(p);
  V v = Set(0.0f);
  for (int i = 0; i < kLanes && i < layout.valid; ++i) v[i] = p[i * layout.row_stride];
  return v;
}

MASE_INLINE void StoreScores(float* p, const ScoreLayout& layout, V v) {
  if (layout.by_feature) return Store(p, v);
  for (int i = 0; i < kLanes && i < layout.valid; ++i) p[i * layout.row_stride] = v[i];
}

struct RegisterLoss {
  V loss;
  VI hit;  // -1 where the highest score is the label's.
};

// One register of rows, in three passes over the classes. Zero in the lanes that are no rows.
MASE_INLINE RegisterLoss RowLosses(const float* scores, const int32_t* labels, int64_t classes,
                                   const ScoreLayout& layout, float diff_scale, float* diff) {
  VI lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  const VI is_row = lane < static_cast<int32_t>(layout.valid < kLanes ? layout.valid : kLanes);
  VI label = VI{};
  if (layout.valid >= kLanes) {
    label = Load(labels);
  } else {
    for (int i = 0; i < layout.valid; ++i) label[i] = labels[i];
  }

  V highest = LoadScores(scores, layout);
  V of_label = highest;
  VI best = VI{};
  for (int64_t k = 1; k < classes; ++k) {
    const V score = LoadScores(scores + k * layout.class_stride, layout);
    const VI index = VI{} + static_cast<int32_t>(k);
    best = score > highest ? index : best;
    highest = Max(highest, score);
    of_label = label == index ? score : of_label;
  }

  V sum = Set(0.0f);
  for (int64_t k = 0; k < classes; ++k) {
    const V e = Exp(LoadScores(scores + k * layout.class_stride, layout) - highest);
    sum += e;
    if (diff != nullptr) StoreScores(diff + k * layout.class_stride, layout, e);
  }

  if (diff != nullptr) {
    const V scale = Set(diff_scale);
    const V normalize = scale / sum;
    for (int64_t k = 0; k < classes; ++k) {
      float* d = diff + k * layout.class_stride;
      const VI index = VI{} + static_cast<int32_t>(k);
      const V hot = label == index ? scale : Set(0.0f);
      const V value = LoadScores(d, layout) * normalize - hot;
      StoreScores(d, layout, reinterpret_cast<V>(reinterpret_cast<VI>(value) & is_row));
    }
  }
  const V loss = Log(sum) - (of_label - highest);
  return {reinterpret_cast<V>(reinterpret_cast<VI>(loss) & is_row), (best == label) & is_row};
}

inline ClassificationLoss CrossEntropy(const float* scores, const int32_t* labels, int64_t rows,
                                       int64_t classes, int64_t ld, float diff_scale, float* diff) {
  const bool by_feature = ld > 0;
  const int64_t row_stride = by_feature ? 1 : classes;
  ClassificationLoss total;
  for (int64_t r = 0; r < rows; r += kGroup) {
    V16 loss;
    int64_t hits = 0;
    for (int part = 0; part < kParts; ++part) {
      const int64_t row = r + part * kLanes;
      const ScoreLayout layout = {by_feature, row_stride, by_feature ? ld : 1, rows - row};
      const RegisterLoss result =
          RowLosses(scores + row * row_stride, labels + row, classes, layout, diff_scale,
                    diff == nullptr ? nullptr : diff + row * row_stride);
      loss.part[part] = result.loss;
      for (int i = 0; i < kLanes; ++i) hits -= result.hit[i];
    }
    total.loss += static_cast<double>(Sum(loss));
    total.correct += hits;
  }
  return total;
}

}  // namespace mase::MASE_DENSE_NAMESPACE

#endif  // MASE_KERNEL_DENSE_SOFTMAX_KERNELS_H_
