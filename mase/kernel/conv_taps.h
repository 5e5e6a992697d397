// The multiplications of a convolution, one by one: plain loops.
#ifndef MASE_KERNEL_CONV_TAPS_H_
#define MASE_KERNEL_CONV_TAPS_H_

#include <cstdint>

#include "mase/kernel/conv_geometry.h"

namespace mase {

// Calls body(offset in src, in weight, in dst) for every multiplication that dst[n, o, y, x] needs.
template <typename Body>
void ForWindow(const ConvGeometry& g, int64_t n, int64_t o, int64_t y, int64_t x,
               const Body& body) {
  const int64_t group_in = g.in_channels / g.groups;
  const int64_t first_in = n * g.in_channels + o / (g.out_channels / g.groups) * group_in;
  const int64_t dst = ((n * g.out_channels + o) * g.out[0] + y) * g.out[1] + x;
  for (int64_t i = 0; i < group_in; ++i) {
    for (int64_t ky = 0; ky < g.kernel[0]; ++ky) {
      const int64_t sy = y * g.stride[0] - g.padding[0] + ky * g.dilation[0];
      if (sy < 0 || sy >= g.in[0]) continue;
      for (int64_t kx = 0; kx < g.kernel[1]; ++kx) {
        const int64_t sx = x * g.stride[1] - g.padding[1] + kx * g.dilation[1];
        if (sx < 0 || sx >= g.in[1]) continue;
        body(((first_in + i) * g.in[0] + sy) * g.in[1] + sx,
             ((o * group_in + i) * g.kernel[0] + ky) * g.kernel[1] + kx, dst);
      }
    }
  }
}

// The same for all of samples begin, ..., end - 1.
template <typename Body>
void ForTaps(const ConvGeometry& g, int64_t begin, int64_t end, const Body& body) {
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t o = 0; o < g.out_channels; ++o) {
      for (int64_t y = 0; y < g.out[0]; ++y) {
        for (int64_t x = 0; x < g.out[1]; ++x) ForWindow(g, n, o, y, x, body);
      }
    }
  }
}

}  // namespace mase

#endif  // MASE_KERNEL_CONV_TAPS_H_
