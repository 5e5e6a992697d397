// Inference through a chain: blocks of rows pass through all layers while they are in the cache.
#ifndef MASE_KERNEL_DENSE_DENSE_INFERENCE_H_
#define MASE_KERNEL_DENSE_DENSE_INFERENCE_H_

#include <cstdint>

#include "mase/kernel/dense/dense_plan.h"

namespace mase {

int64_t DenseInferenceWorkspaceFloats(const DenseNet::Plan& plan);

// DenseNet::Forward in inference mode.
void DenseInference(const DenseNet::Plan& plan, const DenseRows& input, const DenseTensors& tensors,
                    float* output);

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_DENSE_INFERENCE_H_
