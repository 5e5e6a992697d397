// The products that a matmul or bmm is made of.
#ifndef MASE_KERNEL_MATMUL_BATCH_H_
#define MASE_KERNEL_MATMUL_BATCH_H_

#include <cstdint>
#include <vector>

#include "mase/tensor/shape.h"

namespace mase {

// One product of the batch: offsets in matrices of each operand, after broadcasting.
struct BatchEntry {
  int64_t a, b;
};

inline std::vector<BatchEntry> BroadcastBatch(const Shape& a, const Shape& b, const Shape& dst) {
  int64_t batches = 1;
  for (int i = 0; i < dst.rank() - 2; ++i) batches *= dst[i];
  std::vector<BatchEntry> entries(batches);
  for (int64_t entry = 0; entry < batches; ++entry) {
    int64_t rest = entry, a_step = 1, b_step = 1;
    for (int axis = 3; axis <= dst.rank(); ++axis) {  // From the innermost batch axis.
      const int64_t index = rest % dst[-axis];
      rest /= dst[-axis];
      if (axis <= a.rank()) {
        entries[entry].a += (a[-axis] == 1 ? 0 : index) * a_step;
        a_step *= a[-axis];
      }
      if (axis <= b.rank()) {
        entries[entry].b += (b[-axis] == 1 ? 0 : index) * b_step;
        b_step *= b[-axis];
      }
    }
  }
  return entries;
}

// The result with its rows and columns; where an input is a vector, it lacks that axis.
inline Shape WholeProduct(const Shape& a, const Shape& b, const Shape& dst) {
  const int axes = (a.rank() > 1 ? 1 : 0) + (b.rank() > 1 ? 1 : 0);
  Shape whole(dst.dims().subspan(0, dst.rank() - axes));
  whole.push_back(a.rank() > 1 ? a[-2] : 1);
  whole.push_back(b.rank() > 1 ? b[-1] : 1);
  return whole;
}

}  // namespace mase

#endif  // MASE_KERNEL_MATMUL_BATCH_H_
