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
    Position at(g_, first);
    for (int64_t r = 0; r < count; ++r, at.Next()) {
      const int64_t top = at.y * g_.stride[0] - g_.padding[0];
      const int64_t left = at.x * g_.stride[1] - g_.padding[1];
      int64_t tap = 0;
      for (int64_t i = 0, y = top; i < g_.kernel[0]; ++i, y += g_.dilation[0]) {
        const bool is_row = y >= 0 && y < g_.in[0];
        const int64_t row = (at.sample * g_.in[0] + y) * g_.in[1];
        for (int64_t k = 0, x = left; k < g_.kernel[1]; ++k, x += g_.dilation[1]) {
          fn(r, tap++, is_row && x >= 0 && x < g_.in[1] ? row + x : -1);
        }
      }
    }
  }

  // Copies positions [begin, end) of results as rows, `stride` elements from one to the next, at
  // least kTail and less than kTail more than they have: the channels of each tap, one tap after
  // the other, `zero` for those in the padding and behind the last.
  static constexpr int64_t kTail = 4;
  template <typename T>
  void Gather(const T* src, int64_t begin, int64_t end, T zero, T* rows, int64_t stride) const {
    const int64_t channels = g_.in_channels;
    Position at(g_, begin);
    for (int64_t row = begin; row < end; ++row, rows += stride, at.Next()) {
      const int64_t top = at.y * g_.stride[0] - g_.padding[0];
      const int64_t left = at.x * g_.stride[1] - g_.padding[1];
      const bool is_inside = g_.dilation[1] == 1 && left >= 0 && left + g_.kernel[1] <= g_.in[1];
      T* to = rows;
      // What the taps leave of the last elements.
      const T tail[kTail] = {zero, zero, zero, zero};
      std::memcpy(rows + stride - kTail, tail, sizeof(tail));
      for (int64_t i = 0, y = top; i < g_.kernel[0]; ++i, y += g_.dilation[0]) {
        const T* line = src + (at.sample * g_.in[0] + y) * g_.in[1] * channels;
        if (y < 0 || y >= g_.in[0]) {
          to = std::fill_n(to, g_.kernel[1] * channels, zero);
        } else if (is_inside) {
          Copy(line + left * channels, g_.kernel[1] * channels, to);
          to += g_.kernel[1] * channels;
        } else {
          for (int64_t k = 0, x = left; k < g_.kernel[1]; ++k, x += g_.dilation[1]) {
            if (x < 0 || x >= g_.in[1]) {
              for (int64_t c = 0; c < channels; ++c) to[c] = zero;
            } else {
              Copy(line + x * channels, channels, to);
            }
            to += channels;
          }
        }
      }
    }
  }

 private:
  // Where a result lies, one behind the other: no divisions but for the first.
  struct Position {
    Position(const ConvGeometry& geometry, int64_t first)
        : g(geometry),
          sample(first / (g.out[0] * g.out[1])),
          y(first / g.out[1] % g.out[0]),
          x(first % g.out[1]) {}
    void Next() {
      if (++x < g.out[1]) return;
      x = 0;
      if (++y < g.out[0]) return;
      y = 0;
      ++sample;
    }

    const ConvGeometry& g;
    int64_t sample, y, x;
  };

  // A few elements, without a call: eight bytes at a time, or the fewer that there are.
  template <typename T>
  static void Copy(const T* from, int64_t count, T* to) {
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    const char* const source = reinterpret_cast<const char*>(from);
    char* const target = reinterpret_cast<char*>(to);
    if (bytes >= 8) return CopyWords<8>(source, bytes, target);
    if (bytes >= 4) return CopyWords<4>(source, bytes, target);
    if (bytes >= 2) return CopyWords<2>(source, bytes, target);
    if (bytes == 1) *target = *source;
  }
  template <int kWord>
  static void CopyWords(const char* from, int64_t bytes, char* to) {
    for (int64_t i = 0; i < bytes; i += kWord) {
      const int64_t at = std::min(i, bytes - kWord);  // The last ones overlap those before.
      std::memcpy(to + at, from + at, kWord);
    }
  }

  const ConvGeometry g_;
};

}  // namespace mase

#endif  // MASE_KERNEL_CONV_WINDOWS_H_
