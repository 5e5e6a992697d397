// Loss and accuracy of a classifier on labelled samples, as MASE reports them. Measured by
// Evaluate (mase/exec/evaluation.h); a pass asks its context for them.
#ifndef MASE_METRIC_EVALUATION_H_
#define MASE_METRIC_EVALUATION_H_

#include <cstdint>

namespace mase {

struct Evaluation {
  // Mean of the batches' mean softmax cross-entropies: each batch weighs the same, a short last
  // one too. This is what MASE logs as val_loss_epoch and test_loss_epoch.
  double loss = 0;
  // Top-1, ties to the lowest class: one float32 division of whole counts.
  float accuracy = 0;
  int64_t correct = 0;
  int64_t samples = 0;
};

}  // namespace mase

#endif  // MASE_METRIC_EVALUATION_H_
