// What libhdf5 is asked. It opens and reads files in children of this process alone.
//
// It trusts the sizes and places that stand in a file: a changed byte makes it crash or run for
// ever. A child (base/in_child.h) so asks it what lies where, sends that and ends; the elements
// themselves are read and unpacked here, by what it said, of which nothing is believed
// (hdf5_file.h).
//
// Errors of all: as InputFile::Open; DataLoss: no HDF5 file, or a damaged one, also where the
// library crashed or took too long; ResourceExhausted: beyond base/limits.h, or more memory than
// there is; Unavailable: there can be no child.
#ifndef MASE_DATA_HDF5_LIBRARY_H_
#define MASE_DATA_HDF5_LIBRARY_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/hdf5.pb.h"

namespace mase {

// "PATH: damaged or truncated HDF5 file: WHAT".
absl::Status DamagedHdf5(absl::string_view path, absl::string_view what);

// The names of the data sets of a file; of more than limits::kMaxHdf5DataSets, one more. Links to
// other files are none.
absl::StatusOr<Hdf5Facts> ListHdf5(const std::string& path);

// The same data sets, described. DataLoss, too, where one of them makes the library crash.
absl::StatusOr<Hdf5Facts> DescribeHdf5(const std::string& path);

// One data set, which may be a link within the file. Its facts say why it cannot be opened.
absl::StatusOr<Hdf5DataSetFacts> DescribeHdf5(const std::string& path, const std::string& dataset);

// Chunks one behind the other, packed as they lie in the file.
struct Hdf5Chunks {
  std::shared_ptr<const char> bytes;
  size_t size = 0;  // As many as the facts of the data set say are stored.
  Hdf5ChunkFacts facts;
};

// The chunks of a chunked data set, whose facts have been checked.
absl::StatusOr<Hdf5Chunks> ReadHdf5Chunks(const std::string& path, const Hdf5DataSetFacts& facts);

// The texts of an attribute of a group or data set, as h5py writes lists of them. NotFound: no such
// attribute; Unimplemented: other types; ResourceExhausted: a million texts, texts longer than
// limits::kMaxNameBytes, or limits::kMaxHdf5TextBytes of texts.
absl::StatusOr<std::vector<std::string>> ReadHdf5Texts(const std::string& path,
                                                       const std::string& object,
                                                       const std::string& attribute);

}  // namespace mase

#endif  // MASE_DATA_HDF5_LIBRARY_H_
