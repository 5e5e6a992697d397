// NumPy's array files: .npy (one array) and .npz (a zip archive of them).
#ifndef MASE_DATA_NPY_H_
#define MASE_DATA_NPY_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/table.h"
#include "mase/tensor/tensor.h"

namespace mase {

bool IsNpy(absl::string_view file_bytes);
bool IsNpz(absl::string_view file_bytes);

// The array of an .npy file, in C order, of little-endian float32, float64, int8 to int64, uint8 to
// uint32 (wider than a byte: as the next larger signed type) or bool (as uint8). DataLoss if the
// file is damaged or its size is not what its header declares; Unimplemented for other element
// types and Fortran order; ResourceExhausted beyond base/limits.h. Messages are without the file's
// name.
absl::StatusOr<Tensor> ParseNpy(absl::string_view bytes);

// The arrays of an .npz file, stored or deflated, by name. Errors as ParseNpy; Unimplemented for
// archives of 4 GiB and more.
absl::StatusOr<std::map<std::string, Tensor>> ParseNpz(absl::string_view bytes);

// A table from such a file. Features become float32 and must be finite; labels are whole numbers,
// at least 0, and class_texts are those numbers.
//   .npz: arrays "x" [rows, ...] and "y" [rows], or "X" and "y".
//   .npy: one array [rows, columns]; `label` is the number of the class column, empty for the last.
// Errors name the file; InvalidArgument also the row.
absl::StatusOr<DataTable> ReadNumpyTable(absl::string_view path, absl::string_view bytes,
                                         absl::string_view label);

}  // namespace mase

#endif  // MASE_DATA_NPY_H_
