// Zip archives in memory: NumPy's .npz files, PyTorch's files.
#ifndef MASE_INTEROP_ZIP_ARCHIVE_H_
#define MASE_INTEROP_ZIP_ARCHIVE_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// True for bytes that begin as every zip archive does.
bool IsZip(absl::string_view bytes);

// The directory of an archive. Members, stored or deflated, are unpacked when they are asked for.
//
//   MASE_ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(bytes));
//   MASE_ASSIGN_OR_RETURN(const std::string pickle, archive.Unpack("model/data.pkl"));
class ZipArchive {
 public:
  // `bytes` must outlive the result. DataLoss: a damaged archive, one with two names for one member
  // or two members of one name. ResourceExhausted: more than limits::kMaxArchiveMembers.
  // Unimplemented: 4 GiB or more.
  static absl::StatusOr<ZipArchive> Open(absl::string_view bytes);

  std::vector<std::string> names() const;  // Sorted.
  bool Has(const std::string& name) const { return entries_.count(name) > 0; }

  // NotFound: no such member. DataLoss: damaged, also by its checksum. ResourceExhausted as
  // Inflate.
  absl::StatusOr<std::string> Unpack(const std::string& name) const;

 private:
  explicit ZipArchive(absl::string_view bytes) : bytes_(bytes) {}

  absl::string_view bytes_;
  std::map<std::string, size_t> entries_;  // Where each is in the directory.
};

}  // namespace mase

#endif  // MASE_INTEROP_ZIP_ARCHIVE_H_
