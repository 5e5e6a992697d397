// The learning rate of each epoch: cosine annealing from the first rate towards a floor.
#ifndef MASE_TRAIN_SCHEDULE_H_
#define MASE_TRAIN_SCHEDULE_H_

#include <cstdint>

namespace mase {

//   rate(e) = floor + (initial - floor) (1 + cos(pi e / period)) / 2
//
// The rate changes once per epoch, e counts from 0 and there are no restarts: past the period it
// rises again. PyTorch: CosineAnnealingLR. A first rate below the floor *rises* to it, as in MASE.
struct CosineSchedule {
  double initial = 1e-5;
  double floor = 1e-6;
  int64_t period = 20;  // In epochs, > 0.

  double Rate(int64_t epoch) const;
};

}  // namespace mase

#endif  // MASE_TRAIN_SCHEDULE_H_
