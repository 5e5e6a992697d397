// The batch norm, and perhaps the ReLU, behind the convolution of a "conv_batch_norm".
#ifndef MASE_KERNEL_CONV_NORM_H_
#define MASE_KERNEL_CONV_NORM_H_

#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/kernel.h"

namespace mase {

struct ConvNorm {
  explicit ConvNorm(const KernelSpec& spec);

  // y = (W x + b - mean) scale + shift = (scale W) x + (b - mean) scale + shift, with scale =
  // weight / sqrt(variance + eps). Writes the new bias and weights.
  void Fold(const ConvGeometry& geometry, const KernelArgs& args, float* bias,
            float* weights) const;

  bool present, relu = false;
  double eps = 0;
  int weight = -1, bias = -1, mean = -1, variance = -1;  // Positions of its tensors in KernelArgs.
};

}  // namespace mase

#endif  // MASE_KERNEL_CONV_NORM_H_
