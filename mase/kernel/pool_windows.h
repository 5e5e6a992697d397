// The windows of a pooling along one axis.
#ifndef MASE_KERNEL_POOL_WINDOWS_H_
#define MASE_KERNEL_POOL_WINDOWS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "mase/kernel/kernel.h"

namespace mase {

struct Window {
  int64_t begin, end;  // Within the input.
  int64_t divisor;     // Elements that an average divides by along this axis.
};

inline std::vector<Window> FixedWindows(int64_t extent, int64_t results, int64_t kernel,
                                        int64_t stride, int64_t padding, bool count_padding) {
  std::vector<Window> windows(results);
  for (int64_t i = 0; i < results; ++i) {
    const int64_t begin = i * stride - padding;
    // Padding counts up to its own end; what ceil_mode adds beyond does not.
    const int64_t padded_end = std::min(begin + kernel, extent + padding);
    windows[i].begin = std::max<int64_t>(begin, 0);
    windows[i].end = std::min(padded_end, extent);
    windows[i].divisor = count_padding ? padded_end - begin : windows[i].end - windows[i].begin;
  }
  return windows;
}

inline std::vector<Window> AdaptiveWindows(int64_t extent, int64_t results) {
  std::vector<Window> windows(results);
  for (int64_t i = 0; i < results; ++i) {
    windows[i].begin = i * extent / results;
    windows[i].end = ((i + 1) * extent + results - 1) / results;
    windows[i].divisor = windows[i].end - windows[i].begin;
  }
  return windows;
}

// Windows along one of the spatial axes.
inline std::vector<Window> WindowsAlong(const KernelSpec& spec, int axis, bool average) {
  const int64_t extent = spec.srcs[0].shape[2 + axis];
  const int64_t results = spec.dst.shape[2 + axis];
  const Attributes& attributes = *spec.attributes;
  if (attributes.Find("output_size") != nullptr) return AdaptiveWindows(extent, results);
  return FixedWindows(extent, results, attributes.Ints("kernel_size")[axis],
                      attributes.Ints("stride")[axis], attributes.Ints("padding")[axis],
                      average && attributes.Bool("count_include_pad"));
}

}  // namespace mase

#endif  // MASE_KERNEL_POOL_WINDOWS_H_
