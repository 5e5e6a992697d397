// How a text file of rows is written, from its first lines: separator, decimal point, header.
#ifndef MASE_DATA_DIALECT_H_
#define MASE_DATA_DIALECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace mase {

// A number that is all of `cell`, in decimal, with or without sign and exponent, or nan or inf.
// `decimal` stands before its fraction: '.' or ','.
bool ParseNumber(absl::string_view cell, char decimal, double& value);

// Missing: empty, nan, NA, n/a, null, none or ?, and infinities, which say as little.
enum class CellKind { kNumber, kText, kMissing };
CellKind KindOfCell(absl::string_view cell, char decimal);

// The cells of one line, without the quotes around them and the blanks beside them.
std::vector<std::string> SplitCells(absl::string_view line, char separator);

struct Dialect {
  // The first of tab, ';', ',' and '|' that divides the sampled rows into the same number of cells,
  // two or more, and the first line into two or more; else ' ', which stands for runs of blanks, if
  // it does; else ','. Separators in quotes do not count.
  char separator = ',';

  // ',' if a sampled cell is a number with a decimal comma and none has a decimal point.
  char decimal = '.';

  // Whether the first line holds the names of the columns. It does not if it looks like the rows
  // below it: some cell is a number, each text in it stands above a text, and
  // - no cell is a text, and the cells are not the column numbers 0, 1, 2, ... of three columns or
  //   more (which pandas writes for nameless columns), or
  // - a text in it occurs again in its column, in the first 10,000 rows.
  bool header = true;

  // The names of the columns: the first line's cells, or 0, 1, 2, ... without a header. Where every
  // sampled row has one cell more than the header, the name "" goes to the last cell if it is
  // empty, else, unless commas separate, to the first, as R writes the names of rows.
  std::vector<std::string> columns;

  std::vector<bool> text_columns;  // By column: cells are texts or missing, not all missing.
};

// From the first line of `text` that is not blank and up to 32 rows below it.
Dialect FindDialect(absl::string_view text);

// Which columns hold texts, in the first rows of `text`; lines that begin with `comment` are none.
std::vector<bool> FindTextColumns(absl::string_view text, char separator, char decimal,
                                  char comment);

}  // namespace mase

#endif  // MASE_DATA_DIALECT_H_
