// Numbers below float32's normal range (below 1.2e-38) count as zero for a while.
//
// A net that has learnt its data well has gradients and moments that shrink towards nothing, and
// arithmetic on subnormal numbers takes a hundred times longer: steps of such a net were measured
// 13 times slower. They do not move a parameter any more.
#ifndef MASE_BASE_FLUSH_SUBNORMALS_H_
#define MASE_BASE_FLUSH_SUBNORMALS_H_

namespace mase {

// While it lives, this thread takes subnormal operands and results for zero.
class FlushSubnormals {
 public:
  FlushSubnormals();
  ~FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  const unsigned saved_;  // The thread's control word.
};

// The same for this thread and OpenMP's.
class FlushSubnormalsEverywhere {
 public:
  FlushSubnormalsEverywhere();
  ~FlushSubnormalsEverywhere();
  FlushSubnormalsEverywhere(const FlushSubnormalsEverywhere&) = delete;
  FlushSubnormalsEverywhere& operator=(const FlushSubnormalsEverywhere&) = delete;

 private:
  const unsigned saved_;
};

}  // namespace mase

#endif  // MASE_BASE_FLUSH_SUBNORMALS_H_
