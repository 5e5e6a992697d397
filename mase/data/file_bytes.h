// The content of a data file, whatever it is wrapped in.
#ifndef MASE_DATA_FILE_BYTES_H_
#define MASE_DATA_FILE_BYTES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/limits.h"

namespace mase {

// Read-only bytes of a file: mapped, or unpacked in memory if the file is gzip (recognized by its
// first bytes). Copies share the memory. A file must not shrink while it is mapped.
class FileBytes {
 public:
  // As FileError (base/files.h) for what cannot be opened; DataLoss for damaged or truncated
  // gzip; ResourceExhausted beyond kMaxDataFileBytes, or if it unpacks to more than `max_unpacked`.
  static absl::StatusOr<FileBytes> Open(absl::string_view path,
                                        int64_t max_unpacked = limits::kMaxUnpackedBytes);

  // The file as it lies on disk, gzip or not.
  static absl::StatusOr<FileBytes> Map(absl::string_view path);

  absl::string_view bytes() const { return bytes_; }

  // Keeps the memory alive, for Tensor::View.
  std::shared_ptr<const void> owner() const { return owner_; }

 private:
  FileBytes(std::shared_ptr<const void> owner, absl::string_view bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  std::shared_ptr<const void> owner_;
  absl::string_view bytes_;
};

}  // namespace mase

#endif  // MASE_DATA_FILE_BYTES_H_
