// Losses: the last step of a program that trains. A loss op reads the net's result and the labels;
// its result is float64 [2]: the mean loss of the rows and how many rows are predicted right.
//
//   softmax_cross_entropy   scores [rows, classes], labels int64 [rows] in 0..classes-1 (not
//                           checked); right is a row whose highest score is the label's, ties going
//                           to the lowest index
//
//   loss = -(1/rows) sum_i (z[i, y_i] - log sum_k exp z[i, k])
//   diff[i, k] = (softmax(z_i)[k] - [k = y_i]) / rows
//
// A new loss is a constant here and a kernel in the table.
#ifndef MASE_KERNEL_LOSS_H_
#define MASE_KERNEL_LOSS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "mase/kernel/dense/classification_loss.h"
#include "mase/tensor/shape.h"

namespace mase {

struct Loss {
  absl::string_view op;
  DType label_type;
};
inline constexpr Loss kSoftmaxCrossEntropy = {"softmax_cross_entropy", DType::kInt64};

// The same outside of a program: scores and diff_scores (or null) are row-major [rows, classes].
ClassificationLoss CrossEntropy(const float* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, float* diff_scores);
ClassificationLoss CrossEntropy(const double* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, double* diff_scores);

}  // namespace mase

#endif  // MASE_KERNEL_LOSS_H_
