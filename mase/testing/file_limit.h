// The limit of a reader of whole files, to the byte.
//
//   ExpectFileLimit(path, limits::kMaxOnnxBytes,
//                   [](const std::string& file) { return ImportOnnx(file).status(); });
#ifndef MASE_TESTING_FILE_LIMIT_H_
#define MASE_TESTING_FILE_LIMIT_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace mase {

// Makes `path` a file of zeros that take no room on the disk, one byte below `limit`, at it and
// beyond it, and lets `read` read it while the process may have less memory than that. Beyond the
// limit the refusal must be the limit's; up to it, it must be for want of memory, which is asked
// about once the size is no reason to refuse. Removes the file.
void ExpectFileLimit(const std::string& path, int64_t limit,
                     absl::FunctionRef<absl::Status(const std::string&)> read);

}  // namespace mase

#endif  // MASE_TESTING_FILE_LIMIT_H_
