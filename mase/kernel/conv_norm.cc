#include "mase/kernel/conv_norm.h"

#include <cmath>

namespace mase {

ConvNorm::ConvNorm(const KernelSpec& spec) : present(spec.op == "conv_batch_norm") {
  if (!present) return;
  eps = spec.attributes->Float("eps");
  relu = spec.attributes->Bool("relu");
  weight = spec.TensorIndex("norm.weight");
  bias = spec.TensorIndex("norm.bias");
  mean = spec.TensorIndex("norm.running_mean");
  variance = spec.TensorIndex("norm.running_var");
}

void ConvNorm::Fold(const ConvGeometry& geometry, float* const* tensors, float* new_bias,
                    float* new_weights) const {
  const int64_t per_channel = geometry.weight_elements() / geometry.out_channels;
  const auto at = [&](int tensor, int64_t c, double absent) {
    return tensor < 0 ? absent : static_cast<double>(tensors[tensor][c]);
  };
  for (int64_t c = 0; c < geometry.out_channels; ++c) {
    const double scale = at(weight, c, 1) / std::sqrt(at(variance, c, 1) + eps);
    new_bias[c] =
        static_cast<float>((at(geometry.bias, c, 0) - at(mean, c, 0)) * scale + at(bias, c, 0));
    const float* from = tensors[geometry.weight] + c * per_channel;
    for (int64_t i = 0; i < per_channel; ++i) {
      new_weights[c * per_channel + i] = static_cast<float>(from[i] * scale);
    }
  }
}

}  // namespace mase
