#include "mase/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr size_t kReadBytes = size_t{1} << 16;

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  // Closing may be where a network file system reports a failed write.
  int Close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

template <typename Call>
auto RetryOnInterrupt(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

absl::Status WriteAll(int fd, absl::string_view path, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t written = RetryOnInterrupt([&] { return ::write(fd, data.data(), data.size()); });
    if (written < 0) return FileError(path, "write", errno);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Unique among the live processes of this machine and the threads of this one.
std::string TemporaryNameBeside(const std::filesystem::path& path) {
  static std::atomic<uint64_t> counter{0};
  const std::string name =
      absl::StrCat(".", path.filename().string(), ".tmp-", ::getpid(), "-", counter++);
  return (path.parent_path() / name).string();
}

absl::Status SyncFolder(const std::filesystem::path& folder) {
  const std::string name = folder.empty() ? "." : folder.string();
  const Descriptor opened(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) return FileError(name, "open", errno);
  // Some file systems cannot sync a folder and say EINVAL; nothing is lost by that here.
  if (::fsync(opened.get()) < 0 && errno != EINVAL) return FileError(name, "sync", errno);
  return absl::OkStatus();
}

}  // namespace

absl::Status FileError(absl::string_view path, absl::string_view action, int error_number) {
  const std::string message =
      absl::StrCat(path, ": cannot ", action, ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EPERM:
    case EROFS:
      return absl::InvalidArgumentError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<std::string> ReadFile(absl::string_view path, int64_t max_bytes) {
  const std::string name(path);
  const Descriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return FileError(path, "open", errno);
  const size_t limit = static_cast<size_t>(max_bytes);
  const absl::Status too_large = absl::ResourceExhaustedError(
      absl::StrCat(path, ": larger than the limit of ", max_bytes, " bytes"));
  struct stat info;
  const bool is_regular = ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode);
  if (is_regular && info.st_size > max_bytes) return too_large;
  // Sizes that the system tells may be too small (pipes, /proc): one byte more than
  // allowed is asked for, and getting it is the error.
  std::string contents;
  if (is_regular) contents.reserve(static_cast<size_t>(info.st_size) + 1);
  while (contents.size() <= limit) {
    const size_t before = contents.size();
    const size_t wanted = std::min(std::max(kReadBytes, before), limit + 1 - before);
    contents.resize(before + wanted);
    const ssize_t got =
        RetryOnInterrupt([&] { return ::read(file.get(), contents.data() + before, wanted); });
    if (got < 0) return FileError(path, "read", errno);
    contents.resize(before + static_cast<size_t>(got));
    if (got == 0) return contents;
  }
  return too_large;
}

absl::Status WriteFileAtomically(absl::string_view path, absl::Span<const absl::string_view> pieces,
                                 Durability durability) {
  const std::filesystem::path target{std::string(path)};
  const std::string temporary = TemporaryNameBeside(target);
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) return FileError(path, "create", errno);
  absl::Cleanup remove_temporary = [&] { ::unlink(temporary.c_str()); };
  for (const absl::string_view piece : pieces) {
    MASE_RETURN_IF_ERROR(WriteAll(file.get(), path, piece));
  }
  const bool synced = durability == Durability::kSynced;
  if (synced && ::fsync(file.get()) < 0) return FileError(path, "sync", errno);
  if (file.Close() < 0) return FileError(path, "close", errno);
  if (std::rename(temporary.c_str(), target.c_str()) < 0) return FileError(path, "rename", errno);
  std::move(remove_temporary).Cancel();
  return synced ? SyncFolder(target.parent_path()) : absl::OkStatus();
}

absl::Status WriteFileAtomically(absl::string_view path, absl::string_view contents) {
  return WriteFileAtomically(path, absl::MakeConstSpan(&contents, 1));
}

}  // namespace mase
