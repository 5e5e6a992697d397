// Where the windows of a convolution lie, whose channels are last.
#ifndef MASE_KERNEL_CONV_WINDOWS_H_
#define MASE_KERNEL_CONV_WINDOWS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

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

  // Copies positions [begin, end) of results as rows, `stride` elements from one to the next: the
  // channels of each tap, one tap after the other, `zero` for those in the padding.
  template <typename T>
  void Gather(const T* src, int64_t begin, int64_t end, T zero, T* rows, int64_t stride) const {
    const int64_t channels = g_.in_channels;
    for (int64_t row = begin; row < end; ++row, rows += stride) {
      const int64_t sample = row / positions(), position = row % positions();
      const int64_t top = position / g_.out[1] * g_.stride[0] - g_.padding[0];
      const int64_t left = position % g_.out[1] * g_.stride[1] - g_.padding[1];
      const bool is_inside = g_.dilation[1] == 1 && left >= 0 && left + g_.kernel[1] <= g_.in[1];
      T* to = rows;
      for (int64_t i = 0, y = top; i < g_.kernel[0]; ++i, y += g_.dilation[0]) {
        const T* line = src + (sample * g_.in[0] + y) * g_.in[1] * channels;
        if (y < 0 || y >= g_.in[0]) {
          to = std::fill_n(to, g_.kernel[1] * channels, zero);
        } else if (is_inside) {
          Copy(line + left * channels, g_.kernel[1] * channels, to);
          to += g_.kernel[1] * channels;
        } else {
          for (int64_t k = 0, x = left; k < g_.kernel[1]; ++k, x += g_.dilation[1]) {
            to = x < 0 || x >= g_.in[1] ? std::fill_n(to, channels, zero)
                                        : std::copy_n(line + x * channels, channels, to);
          }
        }
      }
      std::fill(to, rows + stride, zero);
    }
  }

 private:
  // A few elements, eight bytes at a time.
  template <typename T>
  static void Copy(const T* from, int64_t count, T* to) {
    constexpr int64_t kAtOnce = 8 / sizeof(T);
    if (count < kAtOnce) {
      std::copy_n(from, count, to);
      return;
    }
    for (int64_t i = 0; i < count; i += kAtOnce) {
      const int64_t at = std::min(i, count - kAtOnce);  // The last ones overlap those before.
      std::memcpy(to + at, from + at, 8);
    }
  }

  const ConvGeometry g_;
};

}  // namespace mase

#endif  // MASE_KERNEL_CONV_WINDOWS_H_
