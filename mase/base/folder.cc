#include "mase/base/folder.h"

#include <algorithm>
#include <system_error>

#include "mase/base/files.h"

namespace mase {

absl::StatusOr<std::vector<std::filesystem::path>> EntriesOf(const std::string& folder) {
  std::vector<std::filesystem::path> entries;
  std::error_code error;
  std::filesystem::directory_iterator it(folder, error), end;
  for (; !error && it != end; it.increment(error)) entries.push_back(it->path());
  if (error) return FileError(folder, "read", error.value());
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace mase
