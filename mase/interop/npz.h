// NumPy's .npz files: zip archives of .npy files, stored or deflated.
#ifndef MASE_INTEROP_NPZ_H_
#define MASE_INTEROP_NPZ_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/interop/zip_archive.h"

namespace mase {

// The directory of an archive. Arrays are unpacked when they are asked for.
//
//   MASE_ASSIGN_OR_RETURN(const NpzFile file, NpzFile::Open(bytes));
//   MASE_ASSIGN_OR_RETURN(const std::string x, file.Unpack("x"));
//   MASE_ASSIGN_OR_RETURN(const auto array, ParseNpy(x, "x"));
class NpzFile {
 public:
  // `bytes` must outlive the result. Members other than .npy files are left out. Errors of
  // ZipArchive::Open.
  static absl::StatusOr<NpzFile> Open(absl::string_view bytes);

  // The names of the arrays, sorted: "x" for the member x.npy.
  std::vector<std::string> names() const;
  bool Has(const std::string& name) const;

  // The .npy file of an array of this archive. Errors of ZipArchive::Unpack.
  absl::StatusOr<std::string> Unpack(const std::string& name) const;

 private:
  explicit NpzFile(ZipArchive archive) : archive_(std::move(archive)) {}

  ZipArchive archive_;
};

}  // namespace mase

#endif  // MASE_INTEROP_NPZ_H_
