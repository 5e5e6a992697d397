// Powers of two, by which products of float32 are exact but for overflow and underflow.
#ifndef MASE_BASE_POWER_OF_TWO_H_
#define MASE_BASE_POWER_OF_TWO_H_

#include <cmath>

namespace mase {

// Whether x is 2^n for a whole n, subnormal ones among them; not of 0, negative numbers, infinities
// and NaN.
inline bool IsPowerOfTwo(float x) {
  int exponent;
  return std::frexp(x, &exponent) == 0.5f;
}

}  // namespace mase

#endif  // MASE_BASE_POWER_OF_TWO_H_
