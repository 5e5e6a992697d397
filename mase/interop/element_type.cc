#include "mase/interop/element_type.h"

#include <cstring>

#include "mase/base/status_macros.h"
#include "mase/interop/half.h"

namespace mase {
namespace {

constexpr ElementType kElementTypes[] = {
    {"F32", 32, DType::kFloat32, {}},
    {"F64", 64, DType::kFloat64, {}},
    {"BF16", 16, DType::kBFloat16, {}},
    {"I8", 8, DType::kInt8, {}},
    {"U8", 8, DType::kUInt8, {}},
    {"I32", 32, DType::kInt32, {}},
    {"I64", 64, DType::kInt64, {}},
    {"BOOL", 8, DType::kBool, {}},
    {"F16", 16, {}, DType::kFloat32},
    {"I16", 16, {}, DType::kInt32},
    {"U16", 16, {}, DType::kInt32},
    {"U32", 32, {}, DType::kInt64},
    {"U64", 64, {}, {}},
    {"C64", 64, {}, {}},
    {"F8_E4M3", 8, {}, {}},
    {"F8_E5M2", 8, {}, {}},
    {"F8_E8M0", 8, {}, {}},
    {"F8_E4M3FNUZ", 8, {}, {}},
    {"F8_E5M2FNUZ", 8, {}, {}},
    {"F6_E2M3", 6, {}, {}},
    {"F6_E3M2", 6, {}, {}},
    {"F4", 4, {}, {}},
};

template <typename From, typename To>
void Widen(const char* bytes, To (*convert)(From), Tensor& tensor) {
  for (To& element : tensor.mutable_data<To>()) {
    From from;
    std::memcpy(&from, bytes, sizeof(from));
    bytes += sizeof(from);
    element = convert(from);
  }
}

template <typename From, typename To>
To Cast(From from) {
  return from;
}

}  // namespace

const ElementType* FindElementType(absl::string_view code) {
  for (const ElementType& type : kElementTypes) {
    if (type.code == code) return &type;
  }
  return nullptr;
}

absl::string_view ElementCode(DType dtype) {
  for (const ElementType& type : kElementTypes) {
    if (type.dtype == dtype) return type.code;
  }
  return "";
}

absl::StatusOr<Tensor> TensorOfElements(const ElementType& type, const Shape& shape,
                                        const char* bytes) {
  const DType dtype = type.dtype.has_value() ? *type.dtype : *type.widens;
  MASE_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(dtype, shape));
  if (type.code == "F16") {
    Widen(bytes, HalfToFloat, tensor);
  } else if (type.code == "I16") {
    Widen(bytes, Cast<int16_t, int32_t>, tensor);
  } else if (type.code == "U16") {
    Widen(bytes, Cast<uint16_t, int32_t>, tensor);
  } else if (type.code == "U32") {
    Widen(bytes, Cast<uint32_t, int64_t>, tensor);
  } else if (tensor.size_bytes() > 0) {
    std::memcpy(tensor.mutable_raw_data(), bytes, tensor.size_bytes());
  }
  return tensor;
}

}  // namespace mase
