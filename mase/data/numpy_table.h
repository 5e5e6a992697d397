// Tables in NumPy's files: .npy (one array) and .npz (several).
#ifndef MASE_DATA_NUMPY_TABLE_H_
#define MASE_DATA_NUMPY_TABLE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/table.h"

namespace mase {

// True for the bytes of an .npy or .npz file.
bool IsNumpyFile(absl::string_view bytes);

// A table from such a file, its columns called 0, 1, 2, ... Features become float32 (the notes say
// if that rounds) and must be finite.
//
//   .npy: one array [rows, columns]; `wanted` names columns by their numbers, as in table.h; the
//   label
//         "class" is the column behind as many as there are wanted features.
//   .npz: features are the array that wanted.features names, else "x", "features" or "data": [rows,
//         ...], or [rows], which is one feature. Labels are the array wanted.label, else "y",
//         "label", "labels", "target" or "targets": [rows] or [rows, 1], numbers or texts; or
//         [rows, classes], one-hot. Case does not matter. wanted.features may also be numbers of
//         columns.
//
// The name of labels that wanted.label does not name is "class".
//
// Errors name the file, and the row if there is one. InvalidArgument: no such arrays (those that
// there are are listed), other shapes, a feature that is not finite, labels that do not look like
// classes (labels.h). Else as ParseNpy and NpzFile (interop/).
absl::StatusOr<DataTable> ReadNumpyTable(absl::string_view path, absl::string_view bytes,
                                         const TableColumns& wanted);

}  // namespace mase

#endif  // MASE_DATA_NUMPY_TABLE_H_
