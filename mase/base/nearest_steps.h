// Rounding to whole multiples of a scale that is no power of two: the nearest, ties to even, of the
// quotient as it is, not of a product with 1 / scale that was rounded itself.
#ifndef MASE_BASE_NEAREST_STEPS_H_
#define MASE_BASE_NEAREST_STEPS_H_

#include <cstdint>

namespace mase {

class NearestSteps {
 public:
  // A normal float32 above 0, as a double.
  explicit NearestSteps(double scale) : scale_(scale), inverse_(1 / scale) {}

  // The whole number nearest to x / scale, ties to even; of a float32 x, and where it is less than
  // 2^24. (Above it is of that size, infinite for infinities, and NaN for NaN.)
  //
  // x * inverse is off by up to 2^-52 of itself, which is less than the distance of x / scale to a
  // tie, 2^-49, unless it is one. Then 2 x / scale is whole.
  double operator()(double x) const {
    const double steps = x * inverse_, half_steps = Whole(2 * steps) * 0.5;
    return Whole(half_steps * scale_ == x ? half_steps : steps);
  }

 private:
  // Below 2^51; adding 1.5 * 2^52 leaves no place for a fraction.
  static double Whole(double x) {
    constexpr double kMagic = 0x1.8p52;
    return (x + kMagic) - kMagic;
  }

  double scale_, inverse_;
};

// Those of x[i], between `least` and `most`, which float32 holds together with a fraction of a
// quarter (less than 2^21), to steps[i], which are elsewhere; of a NaN `least`. By products in
// float32, where none of those is near to a tie: `count` are best some hundred.
void RoundToNearestSteps(const float* x, int64_t count, float scale, float least, float most,
                         float* steps);

}  // namespace mase

#endif  // MASE_BASE_NEAREST_STEPS_H_
