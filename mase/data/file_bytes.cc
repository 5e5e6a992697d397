#include "mase/data/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

absl::Status TooLarge(absl::string_view path, absl::string_view what, int64_t size, int64_t limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path, ": ", what, size, " bytes, more than the limit of ", limit));
}

// All members of a gzip file, one after another.
absl::StatusOr<std::string> Gunzip(absl::string_view path, absl::string_view packed, int64_t max) {
  z_stream stream = {};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return absl::ResourceExhaustedError("zlib: memory");
  absl::Cleanup end = [&] { inflateEnd(&stream); };
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  // zlib counts in 32 bits, so large files pass in slices.
  const auto feed = [&] {
    const size_t done = reinterpret_cast<const char*>(stream.next_in) - packed.data();
    stream.avail_in = static_cast<uInt>(std::min<size_t>(packed.size() - done, 1 << 30));
  };
  std::string bytes;
  size_t used = 0;
  while (true) {
    if (stream.avail_in == 0) feed();
    if (used == bytes.size()) bytes.resize(std::max<size_t>(64 << 10, 2 * bytes.size()));
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + used);
    stream.avail_out = static_cast<uInt>(std::min<size_t>(bytes.size() - used, 1 << 30));
    const int result = inflate(&stream, Z_NO_FLUSH);
    used = reinterpret_cast<char*>(stream.next_out) - bytes.data();
    if (static_cast<int64_t>(used) > max) return TooLarge(path, "unpacks to at least ", used, max);
    if (result == Z_STREAM_END) {
      if (stream.avail_in == 0) feed();
      if (stream.avail_in == 0) break;
      inflateReset(&stream);
    } else if (result == Z_BUF_ERROR && stream.avail_in == 0) {
      return absl::DataLossError(absl::StrCat(path, ": truncated gzip file"));
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::DataLossError(absl::StrCat(
          path, ": damaged gzip file: ", stream.msg != nullptr ? stream.msg : "bad data"));
    }
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace

absl::StatusOr<FileBytes> FileBytes::Map(absl::string_view path) {
  const int file = open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileError(path, "open", errno);
  absl::Cleanup close_file = [&] { close(file); };
  struct stat facts;
  if (fstat(file, &facts) != 0) return FileError(path, "read", errno);
  if (!S_ISREG(facts.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  if (facts.st_size > limits::kMaxDataFileBytes) {
    return TooLarge(path, "", facts.st_size, limits::kMaxDataFileBytes);
  }
  const size_t size = facts.st_size;
  if (size == 0) return FileBytes(nullptr, "");
  void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (memory == MAP_FAILED) return FileError(path, "map", errno);
  std::shared_ptr<const void> owner(memory, [size](void* m) { munmap(m, size); });
  return FileBytes(std::move(owner), absl::string_view(static_cast<const char*>(memory), size));
}

absl::StatusOr<FileBytes> FileBytes::Open(absl::string_view path, int64_t max_unpacked) {
  MASE_ASSIGN_OR_RETURN(FileBytes mapped, Map(path));
  if (!absl::StartsWith(mapped.bytes(), "\x1f\x8b")) return mapped;
  MASE_ASSIGN_OR_RETURN(std::string unpacked, Gunzip(path, mapped.bytes(), max_unpacked));
  auto owner = std::make_shared<const std::string>(std::move(unpacked));
  const absl::string_view bytes = *owner;
  return FileBytes(std::move(owner), bytes);
}

}  // namespace mase
