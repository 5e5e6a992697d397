// What a data file is that holds no text of rows, for the message that refuses it.
#ifndef MASE_DATA_FOREIGN_DATA_H_
#define MASE_DATA_FOREIGN_DATA_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

// What the file with these bytes is, and what to do, as the rest of a sentence that begins with the
// file's name:
//
//   "is UTF-16 text; convert it first:\n  iconv -f UTF-16 -t UTF-8 FILE > NEW.csv"
//
// Empty where it may be a CSV or ARFF file. Only the first bytes are looked at.
std::string DescribeForeignData(absl::string_view bytes);

// InvalidArgument, with the command that converts the file, if a name in it ("column", "class") is
// not UTF-8: recipes, summaries and pictures could not hold it.
absl::Status CheckName(absl::string_view path, absl::string_view what, absl::string_view name);

}  // namespace mase

#endif  // MASE_DATA_FOREIGN_DATA_H_
