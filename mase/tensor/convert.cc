#include "mase/tensor/convert.h"

#include <cmath>

namespace mase {

Tensor ToFloat32(const Tensor& tensor, int64_t* rounded) {
  int64_t changed = 0;
  Tensor result = tensor;
  if (tensor.dtype() != DType::kFloat32) {
    result = Tensor(DType::kFloat32, tensor.shape());
    float* out = result.mutable_data<float>().data();
    VisitNumbers(tensor, [&](size_t i, double number) {
      out[i] = static_cast<float>(number);
      changed += out[i] != number && !std::isnan(number) ? 1 : 0;
    });
  }
  if (rounded != nullptr) *rounded = changed;
  return result;
}

}  // namespace mase
