// The numbers that a layer's tensors have before training.
#ifndef MASE_MODEL_INITIAL_H_
#define MASE_MODEL_INITIAL_H_

#include "mase/base/random.h"
#include "mase/graph/op_schema.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Fills a tensor of the spec's shape with PyTorch's initial numbers, drawn if they are random.
void DrawInitial(const ParameterSpec& spec, TorchGenerator& generator, Tensor& tensor);

}  // namespace mase

#endif  // MASE_MODEL_INITIAL_H_
