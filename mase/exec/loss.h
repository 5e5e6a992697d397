// Mean soft-max cross-entropy on raw scores, its gradient, and top-1 hits, in T.
#ifndef MASE_EXEC_LOSS_H_
#define MASE_EXEC_LOSS_H_

#include <cstdint>

#include "mase/kernel/dense/softmax_cross_entropy.h"

namespace mase {

// As SoftmaxCrossEntropy: scores and diff_scores (or null) are row-major [rows, classes].
ClassificationLoss CrossEntropy(const float* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, float* diff_scores);
ClassificationLoss CrossEntropy(const double* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, double* diff_scores);

}  // namespace mase

#endif  // MASE_EXEC_LOSS_H_
