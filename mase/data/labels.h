// How the labels of a table become classes.
//
//   MASE_ASSIGN_OR_RETURN(DataTable table, ReadTable("train.csv", {}));   // labels "2.0", "10",
//   "2" const std::vector<std::string> classes = OrderClasses(table.class_texts);      // "2", "10"
//   MASE_ASSIGN_OR_RETURN(const Tensor labels, LabelsAsClasses(table, classes));   // 0, 1, 0
#ifndef MASE_DATA_LABELS_H_
#define MASE_DATA_LABELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/table.h"
#include "mase/tensor/tensor.h"

namespace mase {

// The names of the classes of `texts`, by index.
//
// Labels that are all numbers count by value (3, 3.0 and 03 are one class, "3"). Whole numbers of
// which one is 0 and none below are indexes: the classes are 0 to the largest, whether each occurs
// or not. Any other numbers are names, in ascending order: 1, 2, 3 are three classes, -1, 1 are
// two. Texts, and numbers among texts, sort by bytes.
std::vector<std::string> OrderClasses(const std::vector<std::string>& texts);

// What a person should know about `classes`, made of these texts: "classes 1, 2, 3", "classes 0
// to 9, no rows of 7". Empty where texts are names, or numbers 0..n-1 that all occur.
std::string ClassesNote(const std::vector<std::string>& texts,
                        const std::vector<std::string>& classes);

// Turns `table`'s labels into indexes of `classes`: by text, else by value ("3" and "3.0" are one).
// InvalidArgument naming the place, the class and the known classes if one is not among them.
absl::StatusOr<Tensor> LabelsAsClasses(const DataTable& table,
                                       const std::vector<std::string>& classes);

// How a label column was found, from the surest to a guess.
enum class LabelChoice { kNamedByUser, kKnownName, kLastColumn };

// InvalidArgument, with how to name another column, if `table`'s labels do not look like classes:
// numbers with fractions (unless the user named the column and values repeat), in the last column
// more than ten values of which most occur once, a missing value among numbers, a text that is not
// UTF-8. ResourceExhausted: more classes than limits::kMaxClasses. `path` is for messages.
absl::Status CheckLabels(const DataTable& table, LabelChoice choice, absl::string_view path);

// These make the class_texts, class_places and labels of `table` from one value a row.
// InvalidArgument names `path` and the row.
//
// Numbers: each its own class. They must be finite.
absl::Status SetNumberLabels(absl::Span<const double> values, absl::string_view path,
                             DataTable& table);

absl::Status SetTextLabels(absl::Span<const std::string> values, absl::string_view path,
                           DataTable& table);

// One-hot rows, float32 [rows, classes]: one 1 in every row, else 0. `names` are the classes'.
absl::Status SetOneHotLabels(const Tensor& values, absl::Span<const std::string> names,
                             absl::string_view path, DataTable& table);

// The same from the last columns of the table's features, which are there no more afterwards.
absl::Status SplitOneHot(absl::Span<const std::string> names, absl::string_view path,
                         DataTable& table);

}  // namespace mase

#endif  // MASE_DATA_LABELS_H_
