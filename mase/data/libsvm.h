// LIBSVM's text files: "LABEL NUMBER:VALUE NUMBER:VALUE ..." a row, numbers ascending, what is
// missing is 0, "#" begins a comment.
#ifndef MASE_DATA_LIBSVM_H_
#define MASE_DATA_LIBSVM_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/table.h"

namespace mase {

// Whether the first rows of a text are of that form, by its first lines.
bool LooksLikeLibsvm(absl::string_view text);

// The rows as a dense table. Features are called by their numbers, from 1 (from 0, if the file has
// a feature 0) to the largest that occurs; or they are columns.features, which have to be numbers:
// rows of a test file may lack the last ones. The label column is "class".
//
// Errors name the file and the line. InvalidArgument: a cell that is none of NUMBER:VALUE, numbers
// that do not ascend, values that are not finite, several labels, a feature that columns.features
// has not, a label column by another name, labels that do not look like classes.
// ResourceExhausted: more columns than limits::kMaxDataColumns; a table that memory has no room
// for, as a sparse file may ask for.
absl::StatusOr<DataTable> ParseLibsvm(absl::string_view path, absl::string_view text,
                                      const TableColumns& columns);

}  // namespace mase

#endif  // MASE_DATA_LIBSVM_H_
