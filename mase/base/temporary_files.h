// Files that are being written under a temporary name, so that a process that a signal ends leaves
// none of them behind.
#ifndef MASE_BASE_TEMPORARY_FILES_H_
#define MASE_BASE_TEMPORARY_FILES_H_

#include "absl/strings/string_view.h"

namespace mase {

// Knows of a file while it lives; the file itself is the caller's. Of more than 64 at the same
// time, and of paths that are longer than the system takes, it does not.
class TemporaryFile {
 public:
  explicit TemporaryFile(absl::string_view path);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

 private:
  int slot_ = -1;
};

// Removes the files that are known. For a process that is about to end: whoever writes one of them
// finds that it is gone. May be called by a signal handler.
void RemoveTemporaryFiles();

}  // namespace mase

#endif  // MASE_BASE_TEMPORARY_FILES_H_
