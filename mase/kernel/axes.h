// Axes of row-major tensors.
#ifndef MASE_KERNEL_AXES_H_
#define MASE_KERNEL_AXES_H_

#include <cstdint>
#include <vector>

#include "mase/tensor/shape.h"

namespace mase {

inline int64_t FromFront(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }

// How far apart neighbours along each axis lie.
inline std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

// Calls body(first, index) for each line of the last axis of a shape that has one, where `first` is
// the line's first element and `index` where it is along the axes in front.
template <typename Body>
void ForLines(const Shape& shape, int64_t begin, int64_t end, const Body& body) {
  const int last = shape.rank() - 1;
  std::vector<int64_t> index(last);
  int64_t rest = begin;
  for (int axis = last - 1; axis >= 0; --axis) {
    index[axis] = rest % shape[axis];
    rest /= shape[axis];
  }
  for (int64_t line = begin; line < end; ++line) {
    body(line * shape[last], index);
    for (int axis = last - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
  }
}

}  // namespace mase

#endif  // MASE_KERNEL_AXES_H_
