// Tables of numbers with a class column, read from files: what tabular data sets start from.
#ifndef MASE_DATA_TABLE_H_
#define MASE_DATA_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

// A table as it stands in a file: the classes are still texts.
struct DataTable {
  std::vector<std::string> feature_names;
  // The class column; "class" where the file does not name it. Empty: the rows have no classes.
  std::string label_name;
  std::vector<std::string> left_out;      // The file's columns that are neither, in its order.
  Tensor features;                        // float32 [rows, features], all finite.
  std::vector<std::string> class_texts;   // The distinct ones, in order of first appearance.
  std::vector<std::string> class_places;  // "FILE:LINE" of each one's first appearance.
  Tensor labels;                          // int64 [rows]: indexes of class_texts. Without
                                          // classes: [0].
  std::vector<std::string> notes;         // What a person should know about how it was read.

  int64_t rows() const { return features.shape()[0]; }
};

// Which columns to take.
struct TableColumns {
  std::string label;                  // Empty: "class", "label" or "target", else the last column.
                                      // "a,b,c": one-hot, the one that is 1 marks the class.
  std::vector<std::string> features;  // In this order. Empty: all numbers but the label.
  bool label_optional = false;        // No column `label`: then the rows have no classes. The last
                                      // column is never taken for it then.
};

// Reads a CSV, ARFF or LIBSVM file (told apart by the content), gzip or not.
//
// CSV: separator, decimal point and whether there is a header line are taken from the content
// (dialect.h). Cells may stand in quotes; blank lines are skipped. Without a header, columns have
// their numbers as names: 0, 1, 2, ...
// ARFF: dense data. LIBSVM: see libsvm.h.
// columns.h says which columns become features and which the class, labels.h what a label is. What
// is not as plain as a header and commas is said in the table's notes.
//
// Errors name the file and the line. InvalidArgument: a missing column (the nearest is offered),
// a row with another number of cells than the header, a feature that is not a finite number, labels
// that do not look like classes, no rows, a file of another kind (foreign_data.h). DataLoss:
// damaged gzip. ResourceExhausted: beyond base/limits.h.
absl::StatusOr<DataTable> ReadTable(absl::string_view path, const TableColumns& columns);

}  // namespace mase

#endif  // MASE_DATA_TABLE_H_
