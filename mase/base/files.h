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

// The bytes of a file or pipe. ResourceExhausted where it holds more than `max_bytes` (it is not
// read further than that); else as FileError.
absl::StatusOr<std::string> ReadFile(absl::string_view path, int64_t max_bytes);

// Whether a written file outlives a crash of the machine. Waiting for the disk takes seconds per
// gigabyte, which a file that has checksums and can be made anew does not need.
enum class Durability { kSynced, kUnsynced };

// Makes `path` hold the pieces one after another, or leaves it untouched: a
// temporary file beside it (".NAME.tmp-PID-N") is written, synced and renamed over it, and
// the folder is synced. On any error the temporary file is removed. The folder
// must exist. After a crash `path` is the old file or the new one, whole (kUnsynced: of the
// process; after one of the machine it may be torn).
absl::Status WriteFileAtomically(absl::string_view path, absl::Span<const absl::string_view> pieces,
                                 Durability durability = Durability::kSynced);
absl::Status WriteFileAtomically(absl::string_view path, absl::string_view contents);

}  // namespace mase

#endif  // MASE_BASE_FILES_H_
