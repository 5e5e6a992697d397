// Random numbers of one trial: draw i of trial k is a function of (seed, k, i) alone.
#ifndef MASE_SAMPLER_DRAWS_H_
#define MASE_SAMPLER_DRAWS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "mase/base/mix64.h"
#include "mase/sampler/parameter.h"

namespace mase {

class Draws {
 public:
  Draws(uint64_t seed, int64_t trial) : seed_(Mix64(seed, static_cast<uint64_t>(trial))) {}

  // Uniform over [0, 1), 53 bits.
  double Unit() { return static_cast<double>(Mix64(seed_, next_++) >> 11) * 0x1p-53; }
  // Uniform over (0, 1).
  double OpenUnit() { return Unit() + 0x1p-54; }
  // Uniform over 0..count-1.
  uint64_t Index(uint64_t count) {
    const auto index = static_cast<uint64_t>(Unit() * static_cast<double>(count));
    return std::min(index, count - 1);
  }
  // A standard normal (Box-Muller, the first of the pair).
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(OpenUnit()));
    return radius * std::cos(2 * M_PI * Unit());
  }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

// The parameter's value at `unit` in [0, 1), where equal parts of [0, 1) are equally likely values:
// of a logarithmic one equal parts of its logarithm.
double AtUnit(const SearchParameter& parameter, double unit);

// A point drawn evenly, parameter by parameter.
Point RandomPoint(const ParameterSpace& space, Draws& draws);

}  // namespace mase

#endif  // MASE_SAMPLER_DRAWS_H_
