// Which elements a dropout layer drops: one definition for every kernel that computes one.
#ifndef MASE_KERNEL_DROPOUT_H_
#define MASE_KERNEL_DROPOUT_H_

#include <cmath>
#include <cstdint>

#include "mase/base/mix64.h"

namespace mase {

// What a dropout layer multiplies element i of a batch with, i counting row-major: 0 with
// probability p, else 1 / (1 - p), so that the mean stays. `seed` is StreamSeed of the layer.
//
//   const DropoutFactors<float> factors(0.5, seed);
//   for (i) y[i] = x[i] * factors[i];
template <typename T>
class DropoutFactors {
 public:
  DropoutFactors(double p, uint64_t seed)
      : threshold_(static_cast<uint64_t>(std::ceil(p * 0x1p32))),
        seed_(seed),
        kept_(p < 1 ? static_cast<T>(1 / (1 - p)) : T(0)) {}

  T operator[](int64_t i) const {
    const uint64_t draw = Mix64((seed_ + static_cast<uint64_t>(i)) * kGolden64) >> 32;
    return draw < threshold_ ? T(0) : kept_;
  }

 private:
  const uint64_t threshold_;  // A 32-bit draw below it drops the element; p = 1 drops all.
  const uint64_t seed_;
  const T kept_;
};

}  // namespace mase

#endif  // MASE_KERNEL_DROPOUT_H_
