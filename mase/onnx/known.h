// What is known of a file's values before any row runs: constants, shapes and what follows from
// them.
#ifndef MASE_ONNX_KNOWN_H_
#define MASE_ONNX_KNOWN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/tensor/shape.h"

namespace mase {

// A whole number that may grow with the number of rows: constant + per_row * rows.
struct Extent {
  int64_t constant = 0;
  int64_t per_row = 0;

  bool fixed() const { return per_row == 0; }
  std::string ToString() const;  // "3", "2*rows+1"
  friend bool operator==(const Extent&, const Extent&) = default;
};

// InvalidArgument where the result is no Extent (rows * rows), or does not divide.
absl::StatusOr<Extent> Multiply(const Extent& a, const Extent& b);
absl::StatusOr<Extent> Divide(const Extent& a, const Extent& b);

// The product of all; 1 of none.
absl::StatusOr<Extent> Product(const std::vector<Extent>& extents);

// A tensor of whole numbers or truths (0 and 1), row-major.
struct KnownInts {
  Shape shape;
  std::vector<Extent> values;
  // As in onnx.TensorProto.DataType; INT64 where it follows from shapes.
  int type = 0;

  // Room for the numbers of that shape, none of them there yet. ResourceExhausted where they would
  // not fit into memory, which takes 16 bytes of each.
  static absl::StatusOr<KnownInts> WithRoom(const Shape& shape, int type);

  bool fixed() const;
  // The numbers alone. InvalidArgument if one grows with the rows.
  absl::StatusOr<std::vector<int64_t>> Numbers() const;
};

}  // namespace mase

#endif  // MASE_ONNX_KNOWN_H_
