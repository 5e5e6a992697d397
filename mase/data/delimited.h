// The body of CSV and ARFF files: lines of separated cells, parsed at memory speed.
#ifndef MASE_DATA_DELIMITED_H_
#define MASE_DATA_DELIMITED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/columns.h"
#include "mase/data/line_blocks.h"
#include "mase/data/table.h"

namespace mase {

struct DelimitedBody {
  absl::string_view path;   // For messages.
  size_t header_bytes = 0;  // Before the first line after the header.
  int64_t first_line = 1;   // The number of that line in the file.
  char separator = ',';     // As in Dialect, the decimal point too.
  char decimal = '.';
  char comment = '\0';                 // Lines that begin with it are skipped, unless it is 0.
  FileColumns columns;                 // All cells of a line.
  std::vector<int> feature_of_column;  // Per cell: the feature that it becomes, or -1.
  int label_column = 0;                // -1: the rows have no classes.
};

// Parses all lines of a file, which may be anywhere in it, into the features, labels and classes of
// `table`: reads it twice, to count and to parse, on all cores where it is large; the result does
// not depend on their number. Beyond limits::kMaxClasses classes it ends, and the rest of the
// labels is not theirs: CheckLabels refuses the table. Errors as ReadTable.
absl::Status ParseDelimited(const DelimitedBody& body, LineBlocks& lines, DataTable& table);

// Takes the next line off `text`, without its end.
absl::string_view NextLine(absl::string_view& text);

// True for a line that is neither blank nor a comment.
bool IsRow(absl::string_view line, char comment);

// Takes the next cell off `line`, with the separator after it. True while one follows. A quoted
// cell is unescaped into `scratch`.
bool NextCell(absl::string_view& line, char separator, absl::string_view& cell,
              std::string& scratch);

}  // namespace mase

#endif  // MASE_DATA_DELIMITED_H_
