// Which columns of a table become features, and which one the class.
#ifndef MASE_DATA_COLUMNS_H_
#define MASE_DATA_COLUMNS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/labels.h"
#include "mase/data/table.h"

namespace mase {

// The columns that a file has.
struct FileColumns {
  std::vector<std::string> names;  // Unique. Empty or "Unnamed: ..." (pandas): without a name.
  std::vector<bool> texts;         // By column; may be shorter. Which hold texts, not numbers.
};

struct ColumnChoice {
  std::vector<int> features;  // Column numbers, in the order of the features.
  std::vector<int> labels;    // The class column; several are one-hot; none: rows without classes.
  LabelChoice label_choice = LabelChoice::kKnownName;
};

// "a, b, ...": the first names of a file for a message, on one line whatever is in them.
std::string ShowNames(absl::Span<const std::string> names, size_t most);

// What `wanted` (table.h) means for this file. Sets the names, left_out and notes of `table`.
//
// The class is the wanted label, which may be several columns with commas between them; else
// "class", "label" or "target", whatever their case; else, unless labels are optional, the last
// column that has a name and is no wanted feature. Features are the wanted ones, else all columns
// with names and without texts.
//
// InvalidArgument: a wanted column is missing (the nearest is offered) or wanted twice, two columns
// have one name, a name is not UTF-8, no feature is left. ResourceExhausted: too many columns, too
// long names.
absl::StatusOr<ColumnChoice> ChooseColumns(absl::string_view path, const FileColumns& columns,
                                           const TableColumns& wanted, DataTable& table);

}  // namespace mase

#endif  // MASE_DATA_COLUMNS_H_
