#include "mase/interop/npz.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr absl::string_view kMemberMagic("PK\x03\x04", 4);
constexpr absl::string_view kEntryMagic("PK\x01\x02", 4);
constexpr absl::string_view kEndMagic("PK\x05\x06", 4);
constexpr size_t kEntryBytes = 46;  // Of an entry of the directory, without its texts.

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged zip archive: ", what));
}

// The little-endian number at `at`, which must be inside.
template <typename T>
T Load(absl::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// Unpacks one member of an archive to exactly `size` bytes.
absl::StatusOr<std::string> Inflate(absl::string_view packed, size_t size) {
  // Deflate cannot shrink beyond 1032 to 1, so a small member that declares more lies.
  if (size > packed.size() * 1100 + 1100) return Damaged("member size");
  std::string bytes(size, '\0');
  z_stream stream = {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(size);
  if (inflateInit2(&stream, -15) != Z_OK) return absl::ResourceExhaustedError("zlib: memory");
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (result != Z_STREAM_END || stream.avail_out != 0) return Damaged("member");
  return bytes;
}

// The unpacked member that the central directory's entry at `at` describes.
absl::StatusOr<std::string> ReadMember(absl::string_view archive, size_t at) {
  const uint16_t method = Load<uint16_t>(archive, at + 10);
  const uint32_t crc = Load<uint32_t>(archive, at + 16);
  const uint64_t packed_size = Load<uint32_t>(archive, at + 20);
  const uint64_t size = Load<uint32_t>(archive, at + 24);
  const uint64_t local = Load<uint32_t>(archive, at + 42);
  if (local + 30 > archive.size() || archive.substr(local, 4) != kMemberMagic)
    return Damaged("member");
  const uint64_t begin =
      local + 30 + Load<uint16_t>(archive, local + 26) + Load<uint16_t>(archive, local + 28);
  if (begin + packed_size > archive.size()) return Damaged("member size");
  const absl::string_view packed = archive.substr(begin, packed_size);
  std::string bytes;
  if (method == 0 && size == packed_size) {
    bytes = std::string(packed);
  } else if (method == Z_DEFLATED) {
    MASE_ASSIGN_OR_RETURN(bytes, Inflate(packed, size));
  } else {
    return Damaged("compression method");
  }
  if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != crc) {
    return Damaged("checksum");
  }
  return bytes;
}

absl::StatusOr<size_t> FindDirectoryEnd(absl::string_view archive) {
  constexpr size_t kEndBytes = 22;  // Without the comment, of up to 64 KiB, that may follow.
  const size_t at = archive.rfind(kEndMagic);
  if (at == absl::string_view::npos || at + kEndBytes > archive.size()) {
    return Damaged("no directory; is it truncated?");
  }
  return at;
}

}  // namespace

bool IsNpz(absl::string_view bytes) { return absl::StartsWith(bytes, kMemberMagic); }

absl::StatusOr<NpzFile> NpzFile::Open(absl::string_view bytes) {
  if (bytes.size() >= UINT32_MAX) return absl::UnimplementedError("an archive of 4 GiB or more");
  MASE_ASSIGN_OR_RETURN(const size_t end, FindDirectoryEnd(bytes));
  const int entries = Load<uint16_t>(bytes, end + 10);
  size_t at = Load<uint32_t>(bytes, end + 16);
  NpzFile file(bytes);
  for (int i = 0; i < entries; ++i) {
    if (at + kEntryBytes > end || bytes.substr(at, 4) != kEntryMagic) return Damaged("directory");
    const size_t name_size = Load<uint16_t>(bytes, at + 28);
    if (at + kEntryBytes + name_size > end) return Damaged("directory");
    absl::string_view name = bytes.substr(at + kEntryBytes, name_size);
    if (absl::EndsWith(name, ".npy")) {
      name.remove_suffix(4);
      file.entries_[std::string(name)] = at;
    }
    at += kEntryBytes + name_size + Load<uint16_t>(bytes, at + 30) + Load<uint16_t>(bytes, at + 32);
  }
  return file;
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, at] : entries_) names.push_back(name);
  return names;
}

absl::StatusOr<std::string> NpzFile::Unpack(const std::string& name) const {
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return absl::NotFoundError(absl::StrCat("no array '", name, "'"));
  return ReadMember(bytes_, entry->second);
}

}  // namespace mase
