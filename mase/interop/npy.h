// NumPy's .npy files: one array each. Versions 1 to 3.
//
// Arrays come in C order and in the machine's byte order, whatever the file has. What its element
// types become, exactly:
//
//   bool                bool           float16, float32    float32
//   int8, uint8         the same       float64             float64
//   int16, uint16       int32          S, U (texts)        NpyTexts
//   int32               int32
//   uint32, int64       int64
//   uint64              int64, where no value is beyond it
//
// Others (complex, structured, object, time) are refused by name.
#ifndef MASE_INTEROP_NPY_H_
#define MASE_INTEROP_NPY_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

// An array of texts, in UTF-8 where the file says what they are (U), else as its bytes (S).
struct NpyTexts {
  Shape shape;
  std::vector<std::string> values;  // In C order, without the zeros that pad them.
};

// True for bytes that begin as every .npy file does.
bool IsNpy(absl::string_view bytes);

// Unimplemented: an element type that is not read. DataLoss: not an .npy file, another version, a
// damaged header, fewer or more bytes than the shape needs. ResourceExhausted: a limit of
// base/limits.h. All begin with `name`.
absl::StatusOr<std::variant<Tensor, NpyTexts>> ParseNpy(absl::string_view bytes,
                                                        absl::string_view name);

// A file of numbers. Unimplemented: texts. NotFound etc.: as ReadFile.
absl::StatusOr<Tensor> ReadNpy(absl::string_view path);

// Writes version 1, as numpy.save does. InvalidArgument for bfloat16, which NumPy lacks.
absl::Status WriteNpy(absl::string_view path, const Tensor& tensor);

}  // namespace mase

#endif  // MASE_INTEROP_NPY_H_
