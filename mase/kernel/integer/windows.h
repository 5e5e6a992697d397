// Where the windows of a convolution on codes lie.
#ifndef MASE_KERNEL_INTEGER_WINDOWS_H_
#define MASE_KERNEL_INTEGER_WINDOWS_H_

#include <cstdint>

#include "mase/kernel/conv_geometry.h"

namespace mase {

class Windows {
 public:
  explicit Windows(const ConvGeometry& g) : g_(g) {}

  int64_t positions() const { return g_.out[0] * g_.out[1]; }
  int64_t taps() const { return g_.kernel[0] * g_.kernel[1]; }

  // Calls fn(r, tap, pixel) for `count` positions of results from `first` on, counted through all
  // samples, and each tap: the pixel's place in the input; -1 in the padding.
  template <typename Fn>
  [[gnu::always_inline]] void ForRows(int64_t first, int64_t count, const Fn& fn) const {
    int64_t sample = first / positions();
    int64_t out_y = first % positions() / g_.out[1], out_x = first % g_.out[1];
    for (int64_t r = 0; r < count; ++r) {
      const int64_t top = out_y * g_.stride[0] - g_.padding[0];
      const int64_t left = out_x * g_.stride[1] - g_.padding[1];
      int64_t tap = 0;
      for (int64_t i = 0, y = top; i < g_.kernel[0]; ++i, y += g_.dilation[0]) {
        const bool is_row = y >= 0 && y < g_.in[0];
        const int64_t row = (sample * g_.in[0] + y) * g_.in[1];
        for (int64_t k = 0, x = left; k < g_.kernel[1]; ++k, x += g_.dilation[1]) {
          fn(r, tap++, is_row && x >= 0 && x < g_.in[1] ? row + x : -1);
        }
      }
      if (++out_x < g_.out[1]) continue;
      out_x = 0;
      if (++out_y < g_.out[0]) continue;
      out_y = 0;
      ++sample;
    }
  }

 private:
  const ConvGeometry g_;
};

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_WINDOWS_H_
