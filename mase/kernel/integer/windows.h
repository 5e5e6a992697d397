// Where the windows of a convolution on codes lie.
#ifndef MASE_KERNEL_INTEGER_WINDOWS_H_
#define MASE_KERNEL_INTEGER_WINDOWS_H_

#include <cstdint>

#include "mase/kernel/conv_geometry.h"

namespace mase {

// A pixel's place in the input for a tap of a position of the result; -1 in the padding.
class Windows {
 public:
  explicit Windows(const ConvGeometry& g) : g_(g) {}

  int64_t positions() const { return g_.out[0] * g_.out[1]; }
  int64_t taps() const { return g_.kernel[0] * g_.kernel[1]; }
  [[gnu::always_inline]] int64_t Pixel(int64_t row, int64_t tap) const {
    const int64_t sample = row / positions(), position = row % positions();
    const int64_t y =
        position / g_.out[1] * g_.stride[0] - g_.padding[0] + tap / g_.kernel[1] * g_.dilation[0];
    const int64_t x =
        position % g_.out[1] * g_.stride[1] - g_.padding[1] + tap % g_.kernel[1] * g_.dilation[1];
    if (y < 0 || y >= g_.in[0] || x < 0 || x >= g_.in[1]) return -1;
    return (sample * g_.in[0] + y) * g_.in[1] + x;
  }

 private:
  const ConvGeometry g_;
};

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_WINDOWS_H_
