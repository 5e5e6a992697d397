// "dense_chain" in inference, for its table entries.
#ifndef MASE_KERNEL_DENSE_KERNELS_H_
#define MASE_KERNEL_DENSE_KERNELS_H_

#include "mase/kernel/kernel.h"

namespace mase {

KernelOr MakeDenseInference(const KernelSpec& spec);

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_KERNELS_H_
