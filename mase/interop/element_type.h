// The element types that tensors have in files of others, by the names of the safetensors format.
#ifndef MASE_INTEROP_ELEMENT_TYPE_H_
#define MASE_INTEROP_ELEMENT_TYPE_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

// A type is a DType, or every number of it is one of a wider DType, or it is not read.
struct ElementType {
  absl::string_view code;  // "F16"
  uint64_t bits;
  std::optional<DType> dtype;   // That it is,
  std::optional<DType> widens;  // or becomes.

  bool is_read() const { return dtype.has_value() || widens.has_value(); }
};

// Null for a type that the format did not have when this was written.
const ElementType* FindElementType(absl::string_view code);

// The code of a DType.
absl::string_view ElementCode(DType dtype);

// A new tensor of `shape`, whose elements in row-major order stand one after another in `bytes`,
// which need not be aligned. The type must be one that is read. ResourceExhausted: no memory.
absl::StatusOr<Tensor> TensorOfElements(const ElementType& type, const Shape& shape,
                                        const char* bytes);

}  // namespace mase

#endif  // MASE_INTEROP_ELEMENT_TYPE_H_
