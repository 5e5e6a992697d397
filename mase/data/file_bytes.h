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

// Read-only bytes of a file. Copies share the memory.
class FileBytes {
 public:
  // Reads a user's file, and unpacks it if it is gzip (recognized by its first bytes). As InputFile
  // (base/files.h) for what cannot be opened or changes meanwhile; DataLoss for damaged or
  // truncated gzip; ResourceExhausted beyond kMaxDataFileBytes, if it unpacks to more than
  // `max_unpacked`, and as Inflate.
  static absl::StatusOr<FileBytes> Open(absl::string_view path,
                                        int64_t max_unpacked = limits::kMaxUnpackedBytes);

  // Maps a file of ours as it lies on disk: one that is replaced whole and never written to. To
  // touch a page that somebody cut off would end the process.
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
