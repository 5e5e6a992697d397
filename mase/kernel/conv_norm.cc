#include "mase/kernel/conv_norm.h"

#include <cmath>

namespace mase {

ConvNorm::ConvNorm(const KernelSpec& spec) : present(!spec.fused.empty()) {
  if (!present) return;
  const FusedOp& norm = spec.fused[0];
  eps = norm.attributes.Float("eps");
  relu = spec.fused.size() > 1;
  weight = norm.TensorIndex("weight");
  bias = norm.TensorIndex("bias");
  mean = norm.TensorIndex("running_mean");
  variance = norm.TensorIndex("running_var");
}

void ConvNorm::Fold(const ConvGeometry& geometry, const KernelArgs& args, float* new_bias,
                    float* new_weights) const {
  const int64_t per_channel = geometry.weight_elements() / geometry.out_channels;
  const auto at = [&](int tensor, int64_t c, double absent) {
    return tensor < 0 ? absent : static_cast<double>(args.Tensor<float>(tensor)[c]);
  };
  for (int64_t c = 0; c < geometry.out_channels; ++c) {
    const double scale = at(weight, c, 1) / std::sqrt(at(variance, c, 1) + eps);
    new_bias[c] =
        static_cast<float>((at(geometry.bias, c, 0) - at(mean, c, 0)) * scale + at(bias, c, 0));
    const float* from = args.Tensor<float>(geometry.weight) + c * per_channel;
    for (int64_t i = 0; i < per_channel; ++i) {
      new_weights[c * per_channel + i] = static_cast<float>(from[i] * scale);
    }
  }
}

}  // namespace mase
