// What lies in a folder.
#ifndef MASE_BASE_FOLDER_H_
#define MASE_BASE_FOLDER_H_

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace mase {

// The paths of all that lies in a folder, sorted by name; hidden files are among them. Unlike a
// loop over std::filesystem::directory_iterator it throws nothing: an error on the way is FileError
// (files.h).
absl::StatusOr<std::vector<std::filesystem::path>> EntriesOf(const std::string& folder);

}  // namespace mase

#endif  // MASE_BASE_FOLDER_H_
