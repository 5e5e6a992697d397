// Tables in HDF5 files: as the jet data are published, a one-dimensional data set of compound
// elements (NumPy calls it a structured array), one member per column; or features and labels as
// data sets of their own.
#ifndef MASE_DATA_HDF5_H_
#define MASE_DATA_HDF5_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/table.h"

namespace mase {

// What to take from a file. Members may be float16 to float64, integers or h5py's bool, in either
// byte order.
struct Hdf5Columns {
  std::string dataset;                // Its path in the file: "t_allpar_new".
  std::vector<std::string> features;  // Members that become features, in this order.
  std::vector<std::string> one_hot;   // Members of which the largest marks the class, the first
                                      // of equals.
  std::vector<std::string> classes;   // The class of each of them.
};

// True if a file begins as HDF5 files do, also behind a block of its owner's that these bytes have
// whole. MATLAB's (7.3) are not taken for such: their arrays lie transposed.
bool IsHdf5(absl::string_view file_bytes);

// Reads the table. Rows whose one-hot members differ have different labels, though their
// class_texts be the same: what is a repeated row is decided on all columns.
//
// DataLoss: a damaged or truncated file. InvalidArgument: no such data set or member (the nearest
// is offered), another layout, a value that is not finite as float32 (row and column are named).
// Unimplemented: element types other than the above, texts of any length, filters other than
// deflate, shuffle and fletcher32. ResourceExhausted: declared sizes beyond base/limits.h, checked
// before anything is allocated. Unavailable: the file changed while it was read.
absl::StatusOr<DataTable> ReadHdf5Table(absl::string_view path, const Hdf5Columns& columns);

// Reads a file of which nobody knows beforehand what is in it.
//
// Features and labels in data sets of their own, chosen as in an npz file (arrays.h), groups
// included: "train/x". Else, if the file has one compound data set, that table: its members are
// columns, chosen as in columns.h; those that are no numbers are no features.
//
// Labels may be texts of fixed length. Errors as above; InvalidArgument lists the data sets where
// neither is the case.
absl::StatusOr<DataTable> ReadHdf5(absl::string_view path, const TableColumns& wanted);

}  // namespace mase

#endif  // MASE_DATA_HDF5_H_
