#include "mase/base/writable.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "mase/base/files.h"

namespace mase {

absl::Status CheckWritable(absl::string_view path) {
  std::filesystem::path target{std::string(path)};
  struct stat old;
  if (::stat(target.c_str(), &old) == 0) {
    if (S_ISDIR(old.st_mode)) return FileError(path, "write", EISDIR);
    if (!S_ISREG(old.st_mode)) {
      return ::access(target.c_str(), W_OK) == 0 ? absl::OkStatus()
                                                 : FileError(path, "write", errno);
    }
    std::error_code error;
    target = std::filesystem::canonical(target, error);
    if (error) return FileError(path, "follow the link", error.value());
  }
  const std::filesystem::path above =
      target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  struct stat folder;
  if (::stat(above.c_str(), &folder) != 0) return FileError(path, "create", errno);
  if (!S_ISDIR(folder.st_mode)) return FileError(path, "create", ENOTDIR);
  if (::access(above.c_str(), W_OK | X_OK) != 0) return FileError(path, "create", errno);
  return absl::OkStatus();
}

absl::Status CheckNotRead(absl::string_view output, absl::string_view input) {
  std::error_code error;  // A file that does not exist is no other's.
  if (!std::filesystem::equivalent(std::string(output), std::string(input), error) || error) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(output, ": is the same file as ", input, ", which is read; name another"));
}

}  // namespace mase
