// Data sets that are tables in files: jsc, the user's own CSV files, small public sets.
#ifndef MASE_DATA_TABULAR_H_
#define MASE_DATA_TABULAR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/data/hdf5.h"
#include "proto/dataset.pb.h"

namespace mase {

// What is known of a set before its files are seen.
struct TabularSet {
  std::string name;
  bool real = false;
  std::string kind;                   // See DatasetInfo.
  std::string bundled;                // The default file below testdata/, if there is one.
  std::vector<std::string> features;  // Empty: whatever the file has.
  std::vector<std::string> classes;   // Empty: whatever the training file has (OrderClasses).
  std::string hdf5_dataset;           // Where HDF5 files hold the table. Empty: they do not.
  std::vector<std::string> one_hot;   // The class columns there.
  bool distinct_rows = false;         // Drop repeated rows first.
  bool standardize = false;           // Unless the config says otherwise.
};

// Reads `config`'s files. With one file (`path`, or the bundled one): its rows are split as MASE
// does for jsc, 80 % for training and 20 % for test, by scikit-learn's train_test_split with seed
// 42; validation is the training split again. With a file per split: the splits that have one.
// Standardising uses the statistics of the training split and needs one.
absl::StatusOr<Dataset> OpenTabular(const TabularSet& set, const DatasetConfig& config);

}  // namespace mase

#endif  // MASE_DATA_TABULAR_H_
