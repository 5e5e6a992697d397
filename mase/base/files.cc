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
#include "mase/base/memory_budget.h"
#include "mase/base/recorded.h"
#include "mase/base/status_macros.h"
#include "mase/base/system_calls.h"
#include "mase/base/temporary_files.h"

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
  int Release() { return std::exchange(fd_, -1); }
  // Closing may be where a network file system reports a failed write.
  int Close() { return system_calls::Close(std::exchange(fd_, -1)); }

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
    const ssize_t written =
        RetryOnInterrupt([&] { return system_calls::Write(fd, data.data(), data.size()); });
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
  const Descriptor opened(RetryOnInterrupt(
      [&] { return system_calls::Open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (opened.get() < 0) return FileError(name, "open", errno);
  // Some file systems cannot sync a folder and say EINVAL; nothing is lost by that here.
  if (RetryOnInterrupt([&] { return system_calls::Sync(opened.get()); }) < 0 && errno != EINVAL)
    return FileError(name, "sync", errno);
  return absl::OkStatus();
}

int64_t ChangeTime(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

absl::Status NoRegularFile(absl::string_view path, mode_t mode) {
  const char* kind = S_ISDIR(mode)    ? "a directory"
                     : S_ISFIFO(mode) ? "a pipe"
                     : S_ISSOCK(mode) ? "a socket"
                                      : "a device";
  return absl::InvalidArgumentError(absl::StrCat(path, ": is ", kind, ", no regular file"));
}

// Writes to what cannot be replaced: a device, or a pipe that somebody reads.
absl::Status WriteInto(absl::string_view path, absl::Span<const absl::string_view> pieces) {
  // Blocking, a pipe would wait for a reader, who may never come.
  Descriptor file(RetryOnInterrupt([&] {
    return system_calls::Open(std::string(path).c_str(),
                              O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  }));
  if (file.get() < 0 && errno == ENXIO) {
    return absl::UnavailableError(
        absl::StrCat(path, ": cannot open: nobody reads this pipe; start its reader first"));
  }
  if (file.get() < 0) return FileError(path, "open", errno);
  // Written to it is as fast as its reader reads.
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0 || ::fcntl(file.get(), F_SETFL, flags & ~O_NONBLOCK) < 0) {
    return FileError(path, "open", errno);
  }
  for (const absl::string_view piece : pieces) {
    MASE_RETURN_IF_ERROR(WriteAll(file.get(), path, piece));
  }
  return file.Close() < 0 ? FileError(path, "close", errno) : absl::OkStatus();
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

absl::StatusOr<InputFile> InputFile::Open(absl::string_view path) {
  // Not blocking, a pipe opens without a writer, and can be refused.
  const int opened = RetryOnInterrupt([&] {
    return system_calls::Open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  });
  if (opened < 0 && errno == ENXIO) return NoRegularFile(path, S_IFSOCK);
  if (opened < 0) return FileError(path, "open", errno);
  Descriptor file(opened);
  struct stat info;
  if (::fstat(file.get(), &info) != 0) return FileError(path, "open", errno);
  if (!S_ISREG(info.st_mode)) return NoRegularFile(path, info.st_mode);
  return InputFile(path, file.Release(), info.st_size, ChangeTime(info));
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      changed_(other.changed_) {}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::StatusOr<size_t> InputFile::Read(absl::Span<char> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = RetryOnInterrupt(
        [&] { return system_calls::Read(descriptor_, out.data() + done, out.size() - done); });
    if (got < 0) return FileError(path_, "read", errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

absl::Status InputFile::CheckUnchanged() const {
  struct stat info;
  if (::fstat(descriptor_, &info) != 0) return FileError(path_, "read", errno);
  if (info.st_size == size_ && ChangeTime(info) == changed_) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path_, ": changed while it was read, from ", size_,
                                             " bytes to ", info.st_size,
                                             "; run again when nothing writes to it"));
}

absl::StatusOr<std::string> ReadFile(absl::string_view path, int64_t max_bytes) {
  MASE_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  const absl::Status too_large = absl::ResourceExhaustedError(
      absl::StrCat(path, ": larger than the limit of ", max_bytes, " bytes"));
  if (file.size() > max_bytes) return too_large;
  if (file.size() >= kLeastCountedBytes) MASE_RETURN_IF_ERROR(CheckMemory(file.size(), path));
  // Sizes that the system tells may be too small (/proc, a file that grows): one byte more than
  // told is asked for, and getting it means to ask on.
  std::string contents;
  size_t wanted = static_cast<size_t>(file.size()) + 1;
  while (true) {
    const size_t before = contents.size();
    contents.resize(before + wanted);
    MASE_ASSIGN_OR_RETURN(const size_t got, file.Read({contents.data() + before, wanted}));
    contents.resize(before + got);
    if (contents.size() > static_cast<size_t>(max_bytes)) return too_large;
    if (got < wanted) return contents;
    wanted = std::max(kReadBytes, contents.size());
    wanted = std::min(wanted, static_cast<size_t>(max_bytes) + 1 - contents.size());
  }
}

absl::StatusOr<std::string> ReadHead(absl::string_view path, int64_t bytes) {
  MASE_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  std::string head(static_cast<size_t>(std::min(bytes, file.size())), '\0');
  MASE_ASSIGN_OR_RETURN(const size_t got, file.Read(absl::MakeSpan(head)));
  head.resize(got);
  return head;
}

absl::Status WriteFileAtomically(absl::string_view path, absl::Span<const absl::string_view> pieces,
                                 Durability durability) {
  const std::filesystem::path target{std::string(path)};
  struct stat old;
  const bool is_file = ::lstat(target.c_str(), &old) == 0 && S_ISREG(old.st_mode);
  const std::string temporary = TemporaryNameBeside(target);
  const TemporaryFile known(temporary);
  Descriptor file(RetryOnInterrupt([&] {
    return system_calls::Open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  }));
  if (file.get() < 0) return FileError(path, "create", errno);
  absl::Cleanup remove_temporary = [&] { ::unlink(temporary.c_str()); };
  if (is_file && ::fchmod(file.get(), old.st_mode & 07777) < 0) {
    return FileError(path, "pass on the permissions", errno);
  }
  for (const absl::string_view piece : pieces) {
    MASE_RETURN_IF_ERROR(WriteAll(file.get(), path, piece));
  }
  // What a build system had made it makes again.
  const bool synced = durability == Durability::kSynced && !IsReproducible();
  if (synced && RetryOnInterrupt([&] { return system_calls::Sync(file.get()); }) < 0)
    return FileError(path, "sync", errno);
  if (file.Close() < 0) return FileError(path, "close", errno);
  const int renamed =
      RetryOnInterrupt([&] { return system_calls::Rename(temporary.c_str(), target.c_str()); });
  if (renamed < 0) return FileError(path, "rename", errno);
  std::move(remove_temporary).Cancel();
  return synced ? SyncFolder(target.parent_path()) : absl::OkStatus();
}

absl::Status WriteFileAtomically(absl::string_view path, absl::string_view contents) {
  return WriteFileAtomically(path, absl::MakeConstSpan(&contents, 1));
}

absl::Status WriteNamedFile(absl::string_view path, absl::Span<const absl::string_view> pieces) {
  const std::string named(path);
  struct stat old;
  const bool exists = ::stat(named.c_str(), &old) == 0;
  if (exists && S_ISSOCK(old.st_mode)) return NoRegularFile(path, old.st_mode);
  if (exists && !S_ISREG(old.st_mode) && !S_ISDIR(old.st_mode)) return WriteInto(path, pieces);
  std::error_code error;
  if (!std::filesystem::is_symlink(named, error)) return WriteFileAtomically(path, pieces);
  const std::filesystem::path target = std::filesystem::canonical(named, error);
  if (error) return FileError(path, "follow the link", error.value());
  return WriteFileAtomically(target.string(), pieces);
}

absl::Status WriteNamedFile(absl::string_view path, absl::string_view contents) {
  return WriteNamedFile(path, absl::MakeConstSpan(&contents, 1));
}

}  // namespace mase
