#include "mase/kernel/dense/softmax_cross_entropy.h"

#include <algorithm>

#include "mase/kernel/dense/kernels.h"

namespace mase {

ClassificationLoss SoftmaxCrossEntropy(const float* scores, const int64_t* labels, int64_t rows,
                                       int64_t classes, float* diff_scores) {
  constexpr int64_t kBlock = 256;
  const float diff_scale = 1.0f / static_cast<float>(rows);
  ClassificationLoss total;
  for (int64_t first = 0; first < rows; first += kBlock) {
    const int64_t count = std::min(kBlock, rows - first);
    int32_t narrow[kBlock];
    std::copy_n(labels + first, count, narrow);
    const ClassificationLoss block = CurrentDenseKernels().softmax_cross_entropy(
        scores + first * classes, narrow, count, classes, 0, diff_scale,
        diff_scores == nullptr ? nullptr : diff_scores + first * classes);
    total.loss += block.loss;
    total.correct += block.correct;
  }
  if (rows > 0) total.loss /= static_cast<double>(rows);
  return total;
}

}  // namespace mase
