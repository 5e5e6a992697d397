// What a slice takes of an axis, for its shape rule and its kernel.
#ifndef MASE_GRAPH_SLICE_H_
#define MASE_GRAPH_SLICE_H_

#include <algorithm>
#include <cstdint>

#include "mase/graph/attribute.h"

namespace mase {

// Elements first, first + step, ...; `count` of them, all inside the axis.
struct SlicedAxis {
  int64_t first, step, count;
};

// Of the attributes start, end and step of the op slice, on an axis of `extent` elements, by
// Python's rules. The step is not 0.
inline SlicedAxis SliceOf(const Attributes& attributes, int64_t extent) {
  const int64_t step = attributes.Int("step");
  // Counted from the front, and inside of what can be asked for in this direction.
  const auto place = [&](int64_t at, int64_t low, int64_t high) {
    return std::clamp(at < 0 ? at + extent : at, low, high);
  };
  if (step > 0) {
    const int64_t start = place(attributes.Int("start"), 0, extent);
    const int64_t end = place(attributes.Int("end"), 0, extent);
    return {start, step, end <= start ? 0 : (end - start - 1) / step + 1};
  }
  const int64_t start = place(attributes.Int("start"), -1, extent - 1);
  const int64_t end = place(attributes.Int("end"), -1, extent - 1);
  return {start, step, start <= end ? 0 : (start - end - 1) / -step + 1};
}

}  // namespace mase

#endif  // MASE_GRAPH_SLICE_H_
