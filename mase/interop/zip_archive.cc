#include "mase/interop/zip_archive.h"

#include <zlib.h>  // For crc32_z.

#include <cstdint>
#include <cstring>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/interop/inflate.h"

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
  MASE_RETURN_IF_ERROR(CheckMemory(static_cast<int64_t>(size), "a member of the archive"));
  std::string bytes;
  if (method == 0 && size == packed_size) {
    bytes = std::string(packed);
  } else if (method == Z_DEFLATED) {
    MASE_ASSIGN_OR_RETURN(bytes, Inflate(packed, Packing::kDeflate, static_cast<int64_t>(size)));
    if (bytes.size() != size) return Damaged("member size");
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

bool IsZip(absl::string_view bytes) { return absl::StartsWith(bytes, kMemberMagic); }

absl::StatusOr<ZipArchive> ZipArchive::Open(absl::string_view bytes) {
  if (bytes.size() >= UINT32_MAX) return absl::UnimplementedError("an archive of 4 GiB or more");
  MASE_ASSIGN_OR_RETURN(const size_t end, FindDirectoryEnd(bytes));
  const int entries = Load<uint16_t>(bytes, end + 10);
  if (entries > limits::kMaxArchiveMembers) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "an archive of ", entries, " members; the limit is ", limits::kMaxArchiveMembers));
  }
  size_t at = Load<uint32_t>(bytes, end + 16);
  absl::flat_hash_set<uint32_t> begins;
  ZipArchive archive(bytes);
  for (int i = 0; i < entries; ++i) {
    if (at + kEntryBytes > end || bytes.substr(at, 4) != kEntryMagic) return Damaged("directory");
    const size_t name_size = Load<uint16_t>(bytes, at + 28);
    if (at + kEntryBytes + name_size > end) return Damaged("directory");
    // Many names for one member would make of one small file as many large arrays.
    if (!begins.insert(Load<uint32_t>(bytes, at + 42)).second) return Damaged("shared members");
    const absl::string_view name = bytes.substr(at + kEntryBytes, name_size);
    if (!archive.entries_.emplace(name, at).second) {
      return Damaged(absl::StrCat("two members named ", Quoted(name)));
    }
    at += kEntryBytes + name_size + Load<uint16_t>(bytes, at + 30) + Load<uint16_t>(bytes, at + 32);
  }
  return archive;
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  for (const auto& [name, at] : entries_) names.push_back(name);
  return names;
}

absl::StatusOr<std::string> ZipArchive::Unpack(const std::string& name) const {
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return absl::NotFoundError(absl::StrCat("no member ", Quoted(name)));
  return ReadMember(bytes_, entry->second);
}

}  // namespace mase
