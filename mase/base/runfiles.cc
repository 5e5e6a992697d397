#include "mase/base/runfiles.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/recorded.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr char kAddressOfOwnCode = 0;

fs::path FindRunfilesRoot() {
  std::error_code error;
  for (const char* variable : {"TEST_SRCDIR", "RUNFILES_DIR"}) {
    if (const char* root = std::getenv(variable); root != nullptr) {
      if (fs::is_directory(fs::path(root) / "mase", error)) return fs::path(root) / "mase";
    }
  }
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  const fs::path beside = fs::path(executable.string() + ".runfiles") / "mase";
  if (fs::is_directory(beside, error)) return beside;
  // Installed: PREFIX/bin/ch and PREFIX/share/mase, wherever PREFIX has been moved.
  const fs::path share = executable.parent_path().parent_path() / "share/mase";
  if (fs::is_directory(share / "plugins", error)) return share;
  // In a Python package: mase/_mase.so and mase/share, wherever the package lies.
  Dl_info own;
  if (dladdr(&kAddressOfOwnCode, &own) != 0 && own.dli_fname != nullptr) {
    const fs::path package = fs::path(own.dli_fname).parent_path() / "share";
    if (fs::is_directory(package / "plugins", error)) return package;
  }
  return {};
}

}  // namespace

std::string Runfile(absl::string_view path) {
  static const fs::path* const root = new fs::path(FindRunfilesRoot());
  return root->empty() ? std::string(path) : (*root / std::string(path)).string();
}

absl::StatusOr<std::string> ExpandHome(absl::string_view path) {
  if (!absl::StartsWith(path, "~")) return std::string(path);
  if (path.size() > 1 && path[1] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "': only ~ and ~/... are read as a home folder, your own; for a ",
                     "file whose name begins with ~ write ./", path));
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path, "': the environment has no HOME that ~ could stand for; write the whole path"));
  }
  return absl::StrCat(home, path.substr(1));
}

absl::StatusOr<std::string> UserPath(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string expanded, ExpandHome(path));
  const fs::path given{expanded};
  if (given.empty() || given.is_absolute()) return given.string();
  if (IsReproducible()) return given.lexically_normal().string();
  std::error_code error;
  const char* caller = std::getenv("BUILD_WORKING_DIRECTORY");
  const fs::path base = caller != nullptr ? fs::path(caller) : fs::current_path(error);
  return (base / given).lexically_normal().string();
}

}  // namespace mase
