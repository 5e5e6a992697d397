#include "mase/train/flush_denormals.h"

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

FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  SetOnAllThreads(saved_ | kFlushResults | kFlushOperands);
}

FlushDenormals::~FlushDenormals() { SetOnAllThreads(saved_); }

}  // namespace mase
