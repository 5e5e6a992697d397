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
  std::string label_name;                 // The class column. Empty: the rows have no classes.
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
  std::string label;                  // Empty: "class" if there is one, else the last column.
  std::vector<std::string> features;  // In this order. Empty: all but the label, as they come.
  bool label_optional = false;        // No column `label`: then the rows have no classes.
};

// Reads a CSV file with a header line, or an ARFF file (told apart by the content), gzip or not.
//
// CSV: cells are separated by commas and may stand in double quotes; blank lines are skipped.
// ARFF: dense data; features are numeric attributes.
//
// Errors name the file and the line. InvalidArgument: a missing column (the nearest is offered),
// a row with another number of cells than the header, a feature that is not a finite number, no
// rows. DataLoss: damaged gzip. ResourceExhausted: beyond base/limits.h.
absl::StatusOr<DataTable> ReadTable(absl::string_view path, const TableColumns& columns);

// The names of the classes of `texts` in the order of their indexes: whole numbers 0..n-1 are
// their own indexes ("0".."n-1", whether each occurs or not), anything else sorts by bytes.
std::vector<std::string> OrderClasses(const std::vector<std::string>& texts);

// Turns `table`'s labels into indexes of `classes`. InvalidArgument naming the place, the class
// and the known classes if one is not among them.
absl::StatusOr<Tensor> LabelsAsClasses(const DataTable& table,
                                       const std::vector<std::string>& classes);

}  // namespace mase

#endif  // MASE_DATA_TABLE_H_
