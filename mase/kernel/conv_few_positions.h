// Convolutions of so few positions that nearly every result depends on every input: deep in a net,
// where images are 2 x 2 or one pixel, and weights many more than activations.
#ifndef MASE_KERNEL_CONV_FEW_POSITIONS_H_
#define MASE_KERNEL_CONV_FEW_POSITIONS_H_

#include "mase/kernel/kernel.h"

namespace mase {

// Whether MakeFewPositionsConv takes the convolution, and is faster than sliding windows.
bool HasFewPositions(const KernelSpec& spec);

// A matrix product: samples are rows, [position, channel] of the input the depth, and those of the
// result the columns. No windows, no padding, and gradients of the taps that only padding meets
// cost nothing. In blocked layout, float32; takes "conv_batch_norm" too.
KernelOr MakeFewPositionsConv(const KernelSpec& spec);
KernelOr MakeFewPositionsTrainingConv(const KernelSpec& spec);  // With its gradient.

}  // namespace mase

#endif  // MASE_KERNEL_CONV_FEW_POSITIONS_H_
