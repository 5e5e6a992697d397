#include "mase/kernel/dense/kernels.h"

#include "mase/base/isa.h"

namespace mase {

const DenseChainLoops& CurrentDenseChainLoops() {
  switch (CurrentIsa()) {
    case Isa::kAvx512:
      return dense_avx512::kChainKernels;
    case Isa::kAvx2:
      return dense_avx2::kChainKernels;
    case Isa::kBaseline:
      break;
  }
  return dense_baseline::kChainKernels;
}

const DenseKernels& CurrentDenseKernels() {
  switch (CurrentIsa()) {
    case Isa::kAvx512:
      return dense_avx512::kKernels;
    case Isa::kAvx2:
      return dense_avx2::kKernels;
    case Isa::kBaseline:
      break;
  }
  return dense_baseline::kKernels;
}

}  // namespace mase
