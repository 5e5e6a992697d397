// The floating-point state of a thread, kept over code of others.
//
//   {
//     const KeepFloatingPoint kept;
//     dlopen(...);  // Built with -ffast-math, it makes subnormal numbers zero from here on.
//   }               // They are numbers again.
#ifndef MASE_BASE_FLOATING_POINT_H_
#define MASE_BASE_FLOATING_POINT_H_

#include <cfenv>

namespace mase {

// While it lives, anything may be done to rounding mode, exception masks and the flushing of
// subnormals (MXCSR, FPCR) of this thread; then they are as they were.
class KeepFloatingPoint {
 public:
  KeepFloatingPoint() { std::fegetenv(&kept_); }
  ~KeepFloatingPoint() { std::fesetenv(&kept_); }
  KeepFloatingPoint(const KeepFloatingPoint&) = delete;
  KeepFloatingPoint& operator=(const KeepFloatingPoint&) = delete;

 private:
  std::fenv_t kept_;
};

}  // namespace mase

#endif  // MASE_BASE_FLOATING_POINT_H_
