// Readers of files that plugins bring: rows of numbers with classes, in a form that the tool does
// not know (it knows docs/data.md's).
//
//   registrar.AddDataReader({.name = "acme_rows",
//                            .summary = "Rows as ACME's recorders write them.",
//                            .recognizes = [](absl::string_view head) {
//                              return absl::StartsWith(head, "ACMEROWS");
//                            },
//                            .read = ReadAcmeRows});
//
// Once its plugin is open, such a file is a data set like a CSV file: `--dataset.path=x.rows`,
// or a file for each split. Splits, standardizing, the choice of columns by name and recipes are
// the host's, and so is checking that what comes is whole.
#ifndef MASE_DATA_DATA_READER_H_
#define MASE_DATA_DATA_READER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

// What a reader makes of a file.
struct ReadRows {
  Tensor features;  // float32 [rows, columns], at least one of each, all finite.
  Tensor labels;    // int64 [rows], each 0 to class_names.size() - 1; [0] if the rows have none.
  std::vector<std::string> class_names;
  std::vector<std::string> feature_names;  // [columns], no two alike; empty: 0, 1, 2, ...
  std::string label_name = "class";
};

struct DataReader {
  std::string name;     // Of the form, for messages and listings: small letters, digits and '_'.
  std::string summary;  // One sentence.
  // Whether a file is of the form, by its first bytes: all of them, or 65,536.
  std::function<bool(absl::string_view head)> recognizes;
  // Reads one file. Its errors name what is wrong and where; the caller adds the file's name.
  std::function<absl::StatusOr<ReadRows>(const std::string& path)> read;
};

// Whether a reader can be put into the table: InvalidArgument for a name that is none or a function
// that is missing; AlreadyExists if the name is taken.
absl::Status CheckDataReader(const DataReader& reader);
// Puts it there. Errors of CheckDataReader.
absl::Status RegisterDataReader(DataReader reader);

// The first reader that recognizes a file with these first bytes; null if none does.
const DataReader* FindDataReader(absl::string_view head);

// All, in the order in which they were registered. Snapshots stay good.
const std::vector<const DataReader*>& DataReaders();

}  // namespace mase

#endif  // MASE_DATA_DATA_READER_H_
