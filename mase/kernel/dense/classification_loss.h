#ifndef MASE_KERNEL_DENSE_CLASSIFICATION_LOSS_H_
#define MASE_KERNEL_DENSE_CLASSIFICATION_LOSS_H_

#include <cstdint>

namespace mase {

struct ClassificationLoss {
  double loss = 0;  // Mean over the rows; NaN if a score is NaN. 0 of no rows.
  int64_t correct =
      0;  // Rows whose highest score is that of the label; ties go to the lowest index.
};

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_CLASSIFICATION_LOSS_H_
