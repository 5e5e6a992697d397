#ifndef MASE_KERNEL_CONV_ONEDNN_H_
#define MASE_KERNEL_CONV_ONEDNN_H_

#include "mase/kernel/kernel.h"

namespace mase {

// conv1d or conv2d in float32 on oneDNN.
KernelOr MakeOneDnnConv(const KernelSpec& spec);
KernelOr MakeOneDnnTrainingConv(const KernelSpec& spec);  // With its gradient.

}  // namespace mase

#endif  // MASE_KERNEL_CONV_ONEDNN_H_
