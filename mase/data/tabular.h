// Data sets that are tables in files: jsc, the user's own CSV files, small public sets.
#ifndef MASE_DATA_TABULAR_H_
#define MASE_DATA_TABULAR_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/data/preprocess.h"
#include "mase/data/recipe.h"
#include "proto/dataset.pb.h"

namespace mase {

// What is known of a set before its files are seen.
struct TabularSet {
  std::string name;
  std::optional<bool> real;
  std::string kind;                    // See DatasetInfo.
  std::string bundled;                 // The default file below testdata/, if there is one.
  std::vector<std::string> features;   // Empty: whatever the file has.
  std::vector<std::string> classes;    // Empty: whatever the training file has (OrderClasses).
  std::string hdf5_dataset;            // Where HDF5 files hold the table. Empty: they do not.
  std::vector<std::string> one_hot;    // The class columns there.
  bool distinct_rows = false;          // Drop repeated rows first.
  bool standardize = false;            // Unless the config or a recipe says otherwise.
  std::optional<Standardizer> scaler;  // For files without a training split among them.
};

// Reads `config`'s files. With one file (`path`, or the bundled one): its rows are split as MASE
// does for jsc, 80 % for training and 20 % for test, by scikit-learn's train_test_split with seed
// 42; validation is the training split again. With a file per split: the splits that have one.
// Standardizing uses the statistics of the training split, and needs one where nothing else says
// what to subtract. Without a validation file the training rows are the validation split, too.
//
// The training file, else the first, says which columns there are and what the classes are; the
// other files' columns are found by name, and may be in another order and beside others. Under a
// recipe it says so for all files. A test file without the class column then has rows to predict:
// the split `pred` instead of `test`. NumPy's files have no names: their columns count by place.
//
// Errors of ReadTable, of the other readers and of LabelsAsClasses.
absl::StatusOr<Dataset> OpenTabular(const TabularSet& set, const DatasetConfig& config,
                                    const OpenOptions& options);

}  // namespace mase

#endif  // MASE_DATA_TABULAR_H_
