// The numbers of a tensor, whatever its element type.
#ifndef MASE_TENSOR_CONVERT_H_
#define MASE_TENSOR_CONVERT_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/casts.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Calls visit(i, number) for the numbers of a tensor. A double holds each exactly, but for
// integers above 2^53.
template <typename Visit>
void VisitNumbers(const Tensor& tensor, Visit visit) {
  const auto visit_as = [&](auto type) {
    const auto data = tensor.data<decltype(type)>();
    for (size_t i = 0; i < data.size(); ++i) visit(i, static_cast<double>(data[i]));
  };
  switch (tensor.dtype()) {
    case DType::kFloat32:
      return visit_as(float());
    case DType::kFloat64:
      return visit_as(double());
    case DType::kInt8:
      return visit_as(int8_t());
    case DType::kUInt8:
      return visit_as(uint8_t());
    case DType::kInt32:
      return visit_as(int32_t());
    case DType::kInt64:
      return visit_as(int64_t());
    case DType::kBool:
      return visit_as(bool());
    case DType::kBFloat16:  // The upper half of a float32.
      const auto* halves = static_cast<const uint16_t*>(tensor.raw_data());
      for (size_t i = 0; i < static_cast<size_t>(tensor.elements()); ++i) {
        visit(i, absl::bit_cast<float>(static_cast<uint32_t>(halves[i]) << 16));
      }
  }
}

// `tensor` as float32, the nearest value of each; what is beyond float32's range becomes infinite.
// `rounded`, unless null, gets the number of values that changed.
Tensor ToFloat32(const Tensor& tensor, int64_t* rounded = nullptr);

}  // namespace mase

#endif  // MASE_TENSOR_CONVERT_H_
