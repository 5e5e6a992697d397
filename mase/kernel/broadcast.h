// How two tensors that broadcast, by NumPy's rules, are walked through together.
#ifndef MASE_KERNEL_BROADCAST_H_
#define MASE_KERNEL_BROADCAST_H_

#include <array>
#include <cstdint>

#include "mase/base/limits.h"
#include "mase/tensor/shape.h"

namespace mase {

// Walks a broadcast pair run by run: a run is a stretch of the result along which each operand
// either moves by one or stands still.
class Broadcast {
 public:
  Broadcast(const Shape& a, const Shape& b, const Shape& dst) {
    // Axes are merged where both operands go on moving, or standing, in the same way.
    for (int axis = 1; axis <= dst.rank(); ++axis) {  // From the innermost.
      const int64_t extent = dst[-axis];
      if (extent == 1) continue;
      const Axis next = {extent, axis <= a.rank() && a[-axis] != 1,
                         axis <= b.rank() && b[-axis] != 1};
      if (count_ > 0 && axes_[count_ - 1].a == next.a && axes_[count_ - 1].b == next.b) {
        axes_[count_ - 1].extent *= extent;
      } else {
        axes_[count_++] = next;
      }
    }
    if (count_ == 0) axes_[count_++] = {1, true, true};
    runs_ = 1;
    for (int i = 1; i < count_; ++i) runs_ *= axes_[i].extent;
    if (dst.elements() == 0) runs_ = 0;
  }

  int64_t runs() const { return runs_; }
  int64_t length() const { return axes_[0].extent; }
  bool a_moves() const { return axes_[0].a; }
  bool b_moves() const { return axes_[0].b; }

  struct Offsets {
    int64_t a, b;
  };
  // Where the operands of a run start.
  Offsets At(int64_t run) const {
    Offsets at = {0, 0};
    int64_t a_step = a_moves() ? length() : 1, b_step = b_moves() ? length() : 1;
    for (int i = 1; i < count_; ++i) {
      const int64_t index = run % axes_[i].extent;
      run /= axes_[i].extent;
      if (axes_[i].a) {
        at.a += index * a_step;
        a_step *= axes_[i].extent;
      }
      if (axes_[i].b) {
        at.b += index * b_step;
        b_step *= axes_[i].extent;
      }
    }
    return at;
  }

 private:
  struct Axis {
    int64_t extent;
    bool a, b;  // Whether the operand moves along it.
  };
  std::array<Axis, limits::kMaxTensorRank + 1> axes_;
  int count_ = 0;
  int64_t runs_ = 0;
};

}  // namespace mase

#endif  // MASE_KERNEL_BROADCAST_H_
