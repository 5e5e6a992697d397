#include "mase/exec/loss.h"

#include <algorithm>
#include <cmath>

namespace mase {

ClassificationLoss CrossEntropy(const float* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, float* diff_scores) {
  return SoftmaxCrossEntropy(scores, labels, rows, classes, diff_scores);
}

ClassificationLoss CrossEntropy(const double* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, double* diff_scores) {
  ClassificationLoss result;
  for (int64_t i = 0; i < rows; ++i) {
    const double* z = scores + i * classes;
    const double* best = std::max_element(z, z + classes);  // The first of equals.
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(z[k] - *best);
    result.correct += best - z == labels[i];
    result.loss -= z[labels[i]] - *best - std::log(sum);
    if (diff_scores == nullptr) continue;
    for (int64_t k = 0; k < classes; ++k) {
      const double probability = std::exp(z[k] - *best) / sum;
      diff_scores[i * classes + k] = (probability - (k == labels[i])) / static_cast<double>(rows);
    }
  }
  if (rows > 0) result.loss /= static_cast<double>(rows);
  return result;
}

}  // namespace mase
