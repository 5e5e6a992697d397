// Tensor: a dense row-major array with a shared, reference-counted buffer.
//
//   Tensor a = Tensor::FromValues<float>({2, 3}, {1, 2, 3, 4, 5, 6});
//   Tensor b = a;                        // Shares the buffer.
//   b.mutable_data<float>()[0] = 9;      // Copies it first: a[0] stays 1.
//   Tensor row = a.Rows(1, 2);           // [1, 3], in a's buffer.
//
// Copying a Tensor shares the buffer; writing through `mutable_data` first
// makes the buffer unique (copy on write), so a copy never changes under its
// holder. Buffers are 64-byte aligned (one cache line, one AVX-512 register)
// and uninitialized unless the constructor says otherwise. A Tensor may be
// read from many threads; writing needs the sole use of that Tensor object.
#ifndef MASE_TENSOR_TENSOR_H_
#define MASE_TENSOR_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/tensor/shape.h"

namespace mase {

// Maps an element type of C++ to its DType.
template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kFloat64;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kInt8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kUInt8;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kInt32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kInt64;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::kBool;
};

class Tensor {
 public:
  // An empty float32 tensor of shape [0].
  Tensor() : shape_({0}) {}

  // Uninitialized. For shapes that come from outside use Create: this, and writing to a tensor that
  // is shared, throws MemoryError (base/memory_budget.h) when memory is short.
  Tensor(DType dtype, Shape shape);

  // Uninitialized, after checking `shape`: the errors of Shape::Validate, and
  // ResourceExhausted when memory is short.
  static absl::StatusOr<Tensor> Create(DType dtype, const Shape& shape);

  // The same of zeros. Of large ones (MiB) the system's own pages, which take no memory and no time
  // before they are written to: what only tells a shape costs nothing.
  static absl::StatusOr<Tensor> CreateZeros(DType dtype, const Shape& shape);
  // Throws MemoryError, as the constructor does.
  static Tensor Zeros(DType dtype, const Shape& shape);

  // Copies `values`, whose size must be shape.elements().
  template <typename T>
  static Tensor FromValues(Shape shape, absl::Span<const T> values) {
    Tensor tensor(DTypeOf<T>::value, std::move(shape));
    tensor.CopyFrom(values.data(), values.size() * sizeof(T));
    return tensor;
  }

  // A view of foreign memory that `owner` keeps alive, for example a mapped
  // file. `bytes` must hold shape.elements() elements. Writing copies.
  static Tensor View(DType dtype, Shape shape, const void* bytes,
                     std::shared_ptr<const void> owner);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return shape_.elements(); }
  size_t size_bytes() const { return static_cast<size_t>(elements()) * ElementSize(dtype_); }

  const void* raw_data() const { return data_; }
  void* mutable_raw_data();  // Makes the buffer unique first.

  // The elements; T must match dtype() (checked).
  template <typename T>
  absl::Span<const T> data() const {
    CheckDType(DTypeOf<T>::value);
    return absl::Span<const T>(static_cast<const T*>(raw_data()), static_cast<size_t>(elements()));
  }
  template <typename T>
  absl::Span<T> mutable_data() {
    CheckDType(DTypeOf<T>::value);
    return absl::Span<T>(static_cast<T*>(mutable_raw_data()), static_cast<size_t>(elements()));
  }

  // The same buffer under another shape with as many elements (checked).
  Tensor Reshape(Shape shape) const;

  // Rows [begin, end) along axis 0, sharing the buffer. Rank >= 1, range checked.
  Tensor Rows(int64_t begin, int64_t end) const;

  // Same dtype, shape and bytes (so -0 differs from +0, and NaN equals itself).
  friend bool BitEqual(const Tensor& a, const Tensor& b);

 private:
  static absl::StatusOr<Tensor> Make(DType dtype, const Shape& shape, bool zeros);

  void CheckDType(DType expected) const;
  void CopyFrom(const void* bytes, size_t size);

  DType dtype_ = DType::kFloat32;
  Shape shape_;
  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
  bool foreign_ = false;  // The memory is not ours to write even when unshared.
};

bool BitEqual(const Tensor& a, const Tensor& b);

}  // namespace mase

#endif  // MASE_TENSOR_TENSOR_H_
