#include "mase/train/schedule.h"

#include <cmath>

namespace mase {

double CosineSchedule::Rate(int64_t epoch) const {
  const double angle = M_PI * static_cast<double>(epoch) / static_cast<double>(period);
  return floor + (initial - floor) * (1 + std::cos(angle)) / 2;
}

}  // namespace mase
