#include "mase/kernel/dense/dense_inference.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "mase/kernel/dense/dense_pass.h"
#include "mase/kernel/dense/kernels.h"

namespace mase {
namespace {

// Two matrices of 64 features and this many rows fill a third of a small L2 cache.
constexpr int64_t kBlockRows = 256;
constexpr int64_t kBlockLd = kBlockRows + 16;
// Waking the threads takes about as long as these many rows.
constexpr int64_t kRowsWorthThreads = 4096;

// Per feature of all norms.
struct NormFactors {
  const float* scale;
  const float* shift;
};

void RunBlock(const DenseKernels& kernels, const DenseNet::Plan& plan, const DenseTensors& tensors,
              const NormFactors& factors, const float* rounded_weights,
              const DenseShape& rows_of_block, float* src, float* dst, const float** result) {
  for (const DenseStage& stage : plan.stages()) {
    const DenseShape shape = {stage.out, rows_of_block.rows, rows_of_block.ld};
    const float* mean = nullptr;
    if (stage.norm >= 0) mean = tensors.buffers + plan.layer(stage.norm).running_mean;
    if (stage.linear >= 0) {
      const DenseLayer& layer = plan.layer(stage.linear);
      DenseProduct product;
      product.a = tensors.parameters + layer.weight;
      if (plan.bfloat16()) {
        kernels.round_to_bfloat16(stage.in * shape.ld, src, src);
        product.a = rounded_weights + stage.weight_gradient;
      }
      product.a_stride = stage.in;
      product.a_depth_stride = 1;
      product.features = stage.out;
      product.depth = stage.in;
      product.groups = (shape.rows + 15) / 16;
      product.ld = shape.ld;
      product.b = src;
      product.c = dst;
      product.bias = layer.bias >= 0 ? tensors.parameters + layer.bias : nullptr;
      product.relu = stage.relu;
      if (mean != nullptr) {
        product.mean = mean;
        product.scale = factors.scale + stage.statistics;
        product.shift = factors.shift + stage.statistics;
      }
      kernels.product(product);
      std::swap(src, dst);
    } else if (mean != nullptr) {
      kernels.normalize(shape, src, mean, factors.scale + stage.statistics,
                        factors.shift + stage.statistics, stage.relu, src);
    } else if (stage.relu) {
      kernels.relu(shape, src, src);
    }
  }
  *result = src;
}

}  // namespace

int64_t DenseInferenceWorkspaceFloats(const DenseNet::Plan& plan) {
  return 16 + 2 * plan.statistics() + plan.rounded_weights() +
         omp_get_max_threads() * 2 * plan.max_features() * kBlockLd;
}

void DenseInference(const DenseNet::Plan& plan, const DenseRows& input, const DenseTensors& tensors,
                    float* output) {
  float* matrices = AlignToCacheLine(tensors.workspace);
  float* scale = matrices + omp_get_max_threads() * 2 * plan.max_features() * kBlockLd;
  float* shift = scale + plan.statistics();
  for (int s : plan.norms()) {
    const DenseStage& stage = plan.stages()[s];
    const DenseLayer& layer = plan.layer(stage.norm);
    for (int64_t f = 0; f < stage.out; ++f) {
      const double gamma = layer.weight >= 0 ? tensors.parameters[layer.weight + f] : 1.0;
      const double var = static_cast<double>(tensors.buffers[layer.running_var + f]);
      scale[stage.statistics + f] = static_cast<float>(gamma / std::sqrt(var + layer.epsilon));
      shift[stage.statistics + f] = layer.bias >= 0 ? tensors.parameters[layer.bias + f] : 0.0f;
    }
  }
  const DenseKernels& kernels = CurrentDenseKernels();
  float* rounded_weights = shift + plan.statistics();
  for (const DenseStage& stage : plan.stages()) {
    if (!plan.bfloat16() || stage.linear < 0) continue;
    kernels.round_to_bfloat16(stage.in * stage.out,
                              tensors.parameters + plan.layer(stage.linear).weight,
                              rounded_weights + stage.weight_gradient);
  }
#pragma omp parallel for schedule(static) if (input.rows >= kRowsWorthThreads)
  for (int64_t first = 0; first < input.rows; first += kBlockRows) {
    const DenseShape shape = {plan.in(), std::min(kBlockRows, input.rows - first), kBlockLd};
    float* src = matrices + omp_get_thread_num() * 2 * plan.max_features() * kBlockLd;
    float* dst = src + plan.max_features() * kBlockLd;
    const bool picked = input.index != nullptr;
    kernels.load_by_feature(shape, picked ? input.data : input.data + first * plan.in(),
                            picked ? input.index + first : nullptr, src);
    const float* result = nullptr;
    RunBlock(kernels, plan, tensors, {scale, shift}, rounded_weights, shape, src, dst, &result);
    kernels.store_by_row({plan.out(), shape.rows, kBlockLd}, result, output + first * plan.out());
  }
}

}  // namespace mase
