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

inline ConvGeometry::ConvGeometry(const KernelSpec& spec)
    : batch(spec.dst.shape[0]),
      in_channels(spec.attributes->Int("in_channels")),
      out_channels(spec.attributes->Int("out_channels")),
      groups(spec.attributes->Int("groups")),
      weight(spec.TensorIndex("weight")),
      bias(spec.TensorIndex("bias")) {
  const int axes = spec.dst.shape.rank() - 2;
  for (int i = 0; i < 2; ++i) {
    const int axis = i - (2 - axes);  // Among the op's own; -1 for a height that it lacks.
    const bool present = axis >= 0;
    const auto attribute = [&](const char* name, int64_t absent) {
      return present ? spec.attributes->Ints(name)[axis] : absent;
    };
    in[i] = present ? spec.srcs[0].shape[2 + axis] : 1;
    out[i] = present ? spec.dst.shape[2 + axis] : 1;
    kernel[i] = attribute("kernel_size", 1);
    stride[i] = attribute("stride", 1);
    padding[i] = attribute("padding", 0);
    dilation[i] = attribute("dilation", 1);
  }
}

}  // namespace mase

#endif  // MASE_KERNEL_CONV_GEOMETRY_H_
