#include "mase/base/flush_subnormals.h"

#include <immintrin.h>

namespace mase {
namespace {

constexpr unsigned kFlushResults = 1 << 15, kFlushOperands = 1 << 6;

// OpenMP keeps its threads, so each needs it said; threads that come later inherit it.
void SetOnAllThreads(unsigned control) {
#pragma omp parallel
  _mm_setcsr(control);
}

}  // namespace

FlushSubnormals::FlushSubnormals() : saved_(_mm_getcsr()) {
  _mm_setcsr(saved_ | kFlushResults | kFlushOperands);
}

FlushSubnormals::~FlushSubnormals() { _mm_setcsr(saved_); }

FlushSubnormalsEverywhere::FlushSubnormalsEverywhere() : saved_(_mm_getcsr()) {
  SetOnAllThreads(saved_ | kFlushResults | kFlushOperands);
}

FlushSubnormalsEverywhere::~FlushSubnormalsEverywhere() { SetOnAllThreads(saved_); }

}  // namespace mase
