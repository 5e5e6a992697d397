// NumPy's .npz files: zip archives of .npy files, stored or deflated.
#ifndef MASE_INTEROP_NPZ_H_
#define MASE_INTEROP_NPZ_H_

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// True for bytes that begin as every zip archive does.
bool IsNpz(absl::string_view bytes);

// The directory of an archive. Arrays are unpacked when they are asked for.
//
//   MASE_ASSIGN_OR_RETURN(const NpzFile file, NpzFile::Open(bytes));
//   MASE_ASSIGN_OR_RETURN(const std::string x, file.Unpack("x"));
//   MASE_ASSIGN_OR_RETURN(const auto array, ParseNpy(x, "x"));
class NpzFile {
 public:
  // `bytes` must outlive the result. Members other than .npy files are left out. DataLoss: a
  // damaged archive, one with two names for one member or two members of one name.
  // ResourceExhausted: more than limits::kMaxArchiveMembers. Unimplemented: 4 GiB or more.
  static absl::StatusOr<NpzFile> Open(absl::string_view bytes);

  // The names of the arrays, sorted: "x" for the member x.npy.
  std::vector<std::string> names() const;
  bool Has(const std::string& name) const { return entries_.count(name) > 0; }

  // The .npy file of an array of this archive. DataLoss: damaged, also by its checksum;
  // ResourceExhausted as Inflate.
  absl::StatusOr<std::string> Unpack(const std::string& name) const;

 private:
  explicit NpzFile(absl::string_view bytes) : bytes_(bytes) {}

  absl::string_view bytes_;
  std::map<std::string, size_t> entries_;  // Where each is in the directory.
};

}  // namespace mase

#endif  // MASE_INTEROP_NPZ_H_
