#include "mase/plugin/plugin_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::PermissionDeniedError(absl::StrCat(parts...));
}

absl::Status CheckFolder(const std::string& real, const std::vector<std::string>& folders) {
  const auto holds = [&real](const std::string& folder) {
    const std::string root = RealPath(folder);
    return !root.empty() && absl::StartsWith(real, root == "/" ? root : absl::StrCat(root, "/"));
  };
  if (folders.empty() || absl::c_any_of(folders, holds)) return absl::OkStatus();
  return Refuse("it lies at ", real, ", and plugins must lie in ", absl::StrJoin(folders, " or "),
                " (plugin_dirs): copy it there, or name its folder, too");
}

// Whoever can write to it decides what this program does.
absl::Status CheckWriters(const std::string& real) {
  struct stat info = {};
  // Reading it says what is wrong with it.
  if (::stat(real.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return absl::OkStatus();
  if ((info.st_mode & S_IWOTH) != 0) {
    return Refuse("everybody may write to it; `chmod o-w ", real, "` if its content is right");
  }
  const std::string folder = real.substr(0, std::max<size_t>(real.rfind('/'), 1));
  if (::stat(folder.c_str(), &info) != 0) return absl::OkStatus();
  if ((info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0) {
    return Refuse("everybody may write to its folder; `chmod o-w ", folder,
                  "` if its content is right");
  }
  return absl::OkStatus();
}

}  // namespace

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? "" : std::string(real.get());
}

absl::StatusOr<PluginFile> ReadPluginFile(const std::string& path,
                                          const std::vector<std::string>& folders) {
  const std::string real = RealPath(path);
  if (!real.empty()) {
    absl::Status status = CheckFolder(real, folders);
    if (status.ok()) status = CheckWriters(real);
    if (!status.ok()) return status;
  }
  const std::string& opened = real.empty() ? path : real;
  absl::StatusOr<std::string> bytes = ReadFile(opened, limits::kMaxPluginBytes);
  if (bytes.ok()) return PluginFile{real, *std::move(bytes)};
  // The caller names the file.
  std::string message(absl::StripPrefix(bytes.status().message(), absl::StrCat(opened, ": ")));
  if (absl::StrContains(message, std::strerror(EACCES))) {
    absl::StrAppend(&message, "; `chmod a+r ", opened, "`, or its folders a+x");
  }
  return absl::Status(bytes.status().code(), message);
}

std::string DescriptorPath(int descriptor) { return absl::StrCat("/proc/self/fd/", descriptor); }

absl::StatusOr<int> SealedCopy(const PluginFile& file) {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const copies = new std::map<std::pair<std::string, std::string>, int>;
  const absl::MutexLock lock(&mutex);
  const auto [copy, is_new] = copies->try_emplace({file.real_path, Sha256(file.bytes)}, -1);
  if (copy->second >= 0) return copy->second;
  // A name has at most 249 bytes, and is for people alone.
  const std::string name = file.real_path.substr(file.real_path.rfind('/') + 1).substr(0, 249);
  const int descriptor = ::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  bool whole = descriptor >= 0;
  for (size_t written = 0; whole && written < file.bytes.size();) {
    const ssize_t count =
        ::write(descriptor, file.bytes.data() + written, file.bytes.size() - written);
    whole = count > 0 || (count < 0 && errno == EINTR);
    if (count > 0) written += static_cast<size_t>(count);
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (whole && ::fcntl(descriptor, F_ADD_SEALS, kSeals) == 0) return copy->second = descriptor;
  const std::string reason = std::strerror(errno);
  if (descriptor >= 0) ::close(descriptor);
  return absl::InternalError(absl::StrCat("cannot make a copy of it in memory: ", reason));
}

std::string Sha256(absl::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) != 1) return "";
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

absl::Status CheckSha256(absl::string_view bytes, absl::string_view wanted) {
  const bool is_one = wanted.size() == 64 && absl::c_all_of(wanted, absl::ascii_isxdigit);
  if (!is_one) {
    return absl::InvalidArgumentError(
        absl::StrCat("sha256 is ", Quoted(wanted), ", want 64 hexadecimal digits"));
  }
  const std::string found = Sha256(bytes);
  if (absl::EqualsIgnoreCase(found, wanted)) return absl::OkStatus();
  return Refuse("its SHA-256 is ", found, ", and the settings want ", wanted,
                ": it is another file than was meant; if it is right, write that into `plugins`");
}

}  // namespace mase
