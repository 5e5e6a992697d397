// Mean soft-max cross-entropy of class scores, its gradient, and top-1 hits.
//
//   loss = -(1/rows) sum_i (z[i, y_i] - log sum_k exp z[i, k])
//   diff[i, k] = (softmax(z_i)[k] - [k = y_i]) / rows
#ifndef MASE_KERNEL_DENSE_SOFTMAX_CROSS_ENTROPY_H_
#define MASE_KERNEL_DENSE_SOFTMAX_CROSS_ENTROPY_H_

#include <cstdint>

#include "mase/kernel/dense/classification_loss.h"

namespace mase {

// `scores` and `diff_scores` are row-major [rows, classes]; diff_scores may be null or the same as
// scores. labels[i] must be in 0..classes-1 (not checked). exp and log are good to 2 ulp; rows are
// summed in double in a fixed order. Allocates nothing; serial.
ClassificationLoss SoftmaxCrossEntropy(const float* scores, const int64_t* labels, int64_t rows,
                                       int64_t classes, float* diff_scores);

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_SOFTMAX_CROSS_ENTROPY_H_
