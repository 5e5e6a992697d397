// DType and Shape: what a tensor holds and how it is laid out.
#ifndef MASE_TENSOR_SHAPE_H_
#define MASE_TENSOR_SHAPE_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

// Element types. The numbers are stable: they are written to files.
enum class DType {
  kFloat32 = 0,
  kFloat64 = 1,
  kInt8 = 2,
  kUInt8 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kBool = 6,
  kBFloat16 = 7,
};

// Bytes of one element.
size_t ElementSize(DType dtype);

// "float32", "int8", ...: the names that PyTorch and NumPy users know.
absl::string_view DTypeName(DType dtype);

// The reverse of DTypeName; InvalidArgument with the known names otherwise.
absl::StatusOr<DType> ParseDType(absl::string_view name);

// The extents of a dense row-major tensor, outermost first. Rank 0 is a scalar
// with one element. Extents are >= 0; an extent of 0 makes an empty tensor.
//
//   Shape image = {8, 3, 32, 32};
//   MASE_RETURN_IF_ERROR(image.Validate());  // Before trusting sizes from outside.
//   image.dim(-1)                            // 32
//   image.elements()                         // 24576
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const int64_t> dims) : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  // Extent of axis `i`; negative counts from the back. `i` must be in range.
  int64_t dim(int i) const { return dims_[i < 0 ? i + rank() : i]; }
  int64_t operator[](int i) const { return dim(i); }
  void set_dim(int i, int64_t extent) { dims_[i < 0 ? i + rank() : i] = extent; }
  void push_back(int64_t extent) { dims_.push_back(extent); }
  absl::Span<const int64_t> dims() const { return dims_; }

  // Product of all extents. Only for shapes that passed Validate().
  int64_t elements() const;

  // InvalidArgument for a negative extent; ResourceExhausted for a rank or an
  // element count beyond base/limits.h (overflow included).
  absl::Status Validate() const;

  // "[8, 16]"; "[]" for a scalar.
  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) { return a.dims_ == b.dims_; }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }

 private:
  absl::InlinedVector<int64_t, 4> dims_;
};

// The NumPy broadcast of two shapes; InvalidArgument naming both if there is none.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

}  // namespace mase

#endif  // MASE_TENSOR_SHAPE_H_
