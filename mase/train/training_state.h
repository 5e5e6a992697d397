// How far a training run is, and that as tensors of its checkpoint.
#ifndef MASE_TRAIN_TRAINING_STATE_H_
#define MASE_TRAIN_TRAINING_STATE_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/base/random.h"
#include "mase/interop/safetensors.h"

namespace mase {

struct TrainingState {
  TorchGenerator generator{0};  // Of the epochs' orders.

  int64_t epoch = 0;       // The present one.
  int64_t step = 0;        // Optimizer steps made in the whole run.
  int64_t batch = 0;       // Batches of the epoch done; 0: it has not begun.
  int64_t epoch_seed = 0;  // Of its order (BatchSampler), once it has begun.
  double loss_sum = 0;     // Of its batches.

  int64_t best_epoch = -1;  // -1: none yet.
  double best_loss = std::numeric_limits<double>::infinity();

  // Named "training.*".
  std::vector<NamedTensor> Export() const;
  // DataLoss naming the tensor if one is missing or not what Export makes.
  static absl::StatusOr<TrainingState> Import(const SafeTensors& file);
};

}  // namespace mase

#endif  // MASE_TRAIN_TRAINING_STATE_H_
