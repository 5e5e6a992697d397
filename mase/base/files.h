// Whole files: read with a limit, written so that a reader never sees half.
#ifndef MASE_BASE_FILES_H_
#define MASE_BASE_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

// The status for a failed system call: "PATH: cannot ACTION: REASON". NotFound
// where the file or a folder of its path does not exist, InvalidArgument where
// the path is of the wrong kind or not permitted, Unavailable for the rest (a
// full disk, an I/O error).
absl::Status FileError(absl::string_view path, absl::string_view action, int error_number);

// A regular file, or what a link to one leads to, that is open for reading. Nothing else is:
// opening a pipe would wait for its writer, and a device has no end.
class InputFile {
 public:
  // As FileError; InvalidArgument, "PATH: is a pipe, no regular file", for a folder, pipe, socket
  // or device.
  static absl::StatusOr<InputFile> Open(absl::string_view path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  int descriptor() const { return descriptor_; }
  int64_t size() const { return size_; }  // When it was opened.

  // Reads on, into all of `out` unless the file ends before; says how many bytes those were.
  absl::StatusOr<size_t> Read(absl::Span<char> out);

  // Unavailable, "PATH: changed while it was read", if the file has another size or another time of
  // change than when it was opened.
  absl::Status CheckUnchanged() const;

 private:
  InputFile(absl::string_view path, int descriptor, int64_t size, int64_t changed)
      : path_(path), descriptor_(descriptor), size_(size), changed_(changed) {}

  std::string path_;
  int descriptor_;
  int64_t size_;
  int64_t changed_;  // Nanoseconds since 1970.
};

// The bytes of a regular file. ResourceExhausted where it holds more than `max_bytes` (it is not
// read further than that) or than there is memory for; else as InputFile.
absl::StatusOr<std::string> ReadFile(absl::string_view path, int64_t max_bytes);

// Its first bytes, at most `bytes` of them, by which its kind is told.
absl::StatusOr<std::string> ReadHead(absl::string_view path, int64_t bytes);

// Whether a written file outlives a crash of the machine. Waiting for the disk takes seconds per
// gigabyte, which a file that has checksums and can be made anew does not need.
enum class Durability { kSynced, kUnsynced };

// Makes `path`, in a folder of our own (a run's, the cache's), hold the pieces one after another,
// or leaves it untouched: a temporary file beside it (".NAME.tmp-PID-N") is written, synced and
// renamed over it, and the folder is synced. On any error the temporary file is removed. The folder
// must exist. A file that was there passes its permissions on. A link, pipe or device that was
// there is replaced: who gave us the folder does not choose which files of its user are written.
// After a crash `path` is the old file or the new one, whole (kUnsynced: of the process; after one
// of the machine it may be torn).
absl::Status WriteFileAtomically(absl::string_view path, absl::Span<const absl::string_view> pieces,
                                 Durability durability = Durability::kSynced);
absl::Status WriteFileAtomically(absl::string_view path, absl::string_view contents);

// The same for a path that the user named: of a link, the file that it leads to is written. What is
// no file (/dev/null, a pipe) cannot be replaced and is written to as it is.
absl::Status WriteNamedFile(absl::string_view path, absl::Span<const absl::string_view> pieces);
absl::Status WriteNamedFile(absl::string_view path, absl::string_view contents);

}  // namespace mase

#endif  // MASE_BASE_FILES_H_
