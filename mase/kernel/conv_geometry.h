// A convolution as numbers; one axis is two with height 1.
#ifndef MASE_KERNEL_CONV_GEOMETRY_H_
#define MASE_KERNEL_CONV_GEOMETRY_H_

#include <cstdint>

#include "mase/kernel/kernel.h"

namespace mase {

struct ConvGeometry {
  int64_t batch, in_channels, out_channels, groups;
  int64_t in[2], out[2], kernel[2], stride[2], padding[2], dilation[2];  // Height, width.
  int weight, bias;  // Positions of the tensors; -1 without bias.

  explicit ConvGeometry(const KernelSpec& spec);
  int64_t weight_elements() const {
    return out_channels * (in_channels / groups) * kernel[0] * kernel[1];
  }
};

}  // namespace mase

#endif  // MASE_KERNEL_CONV_GEOMETRY_H_
