// NumPy's .npy files: one array each. Versions 1 to 3, little-endian, C order.
//
// Element types: <f4, <f8, |i1, |u1, <i4, <i8, |b1. Anything else is refused by name, so are
// big-endian and Fortran-ordered arrays (unless the order makes no difference).
#ifndef MASE_INTEROP_NPY_H_
#define MASE_INTEROP_NPY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

// InvalidArgument: an element type or an order that is not served. DataLoss: not an .npy file, a
// damaged header, fewer or more bytes than the shape needs. ResourceExhausted: a limit of
// base/limits.h. NotFound etc.: as ReadFile. All name `path`.
absl::StatusOr<Tensor> ReadNpy(absl::string_view path);

// The same from bytes in memory; `name` is for messages.
absl::StatusOr<Tensor> ParseNpy(absl::string_view bytes, absl::string_view name);

// Writes version 1, as numpy.save does. InvalidArgument for bfloat16, which NumPy lacks.
absl::Status WriteNpy(absl::string_view path, const Tensor& tensor);

}  // namespace mase

#endif  // MASE_INTEROP_NPY_H_
