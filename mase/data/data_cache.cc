#include "mase/data/data_cache.h"

#include <isa-l/crc64.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/crc32c.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"
#include "mase/data/file_bytes.h"
#include "proto/data_cache.pb.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

// A file is: magic, the header's size and checksum (4 bytes each), the header, the tensors' bytes.
constexpr absl::string_view kMagic = "MASEDAT1";
constexpr size_t kPreludeBytes = 16;
constexpr size_t kAlignment = 64;  // Of each tensor, as in memory.
constexpr int64_t kWorthCaching = 1 << 20;
constexpr int64_t kMaxMemoBytes = 4096;
constexpr size_t kReadBytes = 1 << 20;

size_t Aligned(size_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

// Empty if there is no home to keep a cache in.
std::string CacheFolder() {
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder != '\0') {
    return absl::StrCat(folder, "/mase");
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? absl::StrCat(home, "/.cache/mase") : "";
}

// The hash of bytes behind those of hash `before`.
uint64_t Extend(uint64_t before, absl::string_view bytes) {
  return crc64_ecma_refl(before, reinterpret_cast<const unsigned char*>(bytes.data()),
                         bytes.size());
}

std::string HashText(uint64_t hash) { return absl::StrCat(absl::Hex(hash, absl::kZeroPad16)); }

std::string Hash(absl::string_view bytes) { return HashText(Extend(0, bytes)); }

absl::StatusOr<std::string> HashFile(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  std::string part(kReadBytes, '\0');
  uint64_t hash = 0;
  while (true) {
    MASE_ASSIGN_OR_RETURN(const size_t got, file.Read(absl::MakeSpan(part)));
    hash = Extend(hash, absl::string_view(part).substr(0, got));
    if (got < part.size()) break;
  }
  MASE_RETURN_IF_ERROR(file.CheckUnchanged());
  return HashText(hash);
}

absl::Status Keep(const std::string& folder, const std::string& name,
                  absl::Span<const absl::string_view> pieces) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError(folder, "create", error.value());
  return WriteFileAtomically(absl::StrCat(folder, "/", name), pieces, Durability::kUnsynced);
}

// Everything that changes when a file's content does, as far as the file system tells.
std::string StatKey(const struct stat& facts) {
  return absl::StrCat(facts.st_dev, " ", facts.st_ino, " ", facts.st_size, " ",
                      facts.st_mtim.tv_sec, ".", facts.st_mtim.tv_nsec, " ", facts.st_ctim.tv_sec,
                      ".", facts.st_ctim.tv_nsec);
}

// A text that stands for the content of `path`: from its memo if the file has not changed since,
// else from reading it.
absl::StatusOr<std::string> ContentKey(const std::string& folder, const std::string& path,
                                       const struct stat& facts) {
  std::error_code error;
  const std::string real = fs::canonical(path, error).string();
  const std::string memo_name = absl::StrCat(Hash(real), ".key");
  const std::string stat_key = absl::StrCat(StatKey(facts), "\n");
  const auto memo = ReadFile(absl::StrCat(folder, "/", memo_name), kMaxMemoBytes);
  if (memo.ok() && memo->size() == stat_key.size() + 16 && memo->rfind(stat_key, 0) == 0) {
    return absl::StrCat(memo->substr(stat_key.size()), "-", facts.st_size);
  }
  MASE_ASSIGN_OR_RETURN(const std::string hash, HashFile(path));
  // A write in the same tick of the clock as ours would leave the times as they are.
  if (std::time(nullptr) - std::max(facts.st_mtim.tv_sec, facts.st_ctim.tv_sec) > 2) {
    // Without a memo the file is only read again, so failing to write one needs no word.
    Keep(folder, memo_name, {stat_key, hash}).IgnoreError();
  }
  return absl::StrCat(hash, "-", facts.st_size);
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged: ", what));
}

absl::StatusOr<Tensor> ReadBlob(const FileBytes& file, const DataCacheHeader::Blob& blob) {
  if (blob.dtype() < 0 || blob.dtype() > static_cast<int>(DType::kBFloat16)) {
    return Damaged("type");
  }
  const DType dtype = static_cast<DType>(blob.dtype());
  const Shape shape(absl::MakeConstSpan(blob.dim().data(), blob.dim_size()));
  if (!shape.Validate().ok()) return Damaged("shape");
  const size_t size = shape.elements() * ElementSize(dtype);
  const size_t end = file.bytes().size();
  const size_t offset = blob.offset();
  if (offset % kAlignment != 0 || offset > end || size > end - offset) return Damaged("size");
  const absl::string_view bytes = file.bytes().substr(offset, size);
  if (Crc32c(bytes) != blob.crc32c()) return Damaged("checksum");
  return Tensor::View(dtype, shape, bytes.data(), file.owner());
}

absl::StatusOr<CachedData> Load(const std::string& path, const std::string& key) {
  MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Map(path));
  const absl::string_view bytes = file.bytes();
  uint32_t header_size = 0;
  uint32_t header_crc = 0;
  if (bytes.size() < kPreludeBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return Damaged("beginning");
  }
  std::memcpy(&header_size, bytes.data() + 8, 4);
  std::memcpy(&header_crc, bytes.data() + 12, 4);
  if (header_size > bytes.size() - kPreludeBytes) return Damaged("header size");
  const absl::string_view text = bytes.substr(kPreludeBytes, header_size);
  DataCacheHeader header;
  if (Crc32c(text) != header_crc || !header.ParseFromArray(text.data(), text.size())) {
    return Damaged("header");
  }
  if (header.key() != key) return absl::NotFoundError("made from something else");
  CachedData data;
  data.texts.assign(header.text().begin(), header.text().end());
  data.notes.assign(header.note().begin(), header.note().end());
  for (const DataCacheHeader::Blob& blob : header.blob()) {
    MASE_ASSIGN_OR_RETURN(data.tensors.emplace_back(), ReadBlob(file, blob));
  }
  return data;
}

absl::Status Store(const std::string& folder, const std::string& name, const std::string& key,
                   const CachedData& data) {
  DataCacheHeader header;
  header.set_key(key);
  for (const std::string& text : data.texts) header.add_text(text);
  for (const std::string& note : data.notes) header.add_note(note);
  for (const Tensor& tensor : data.tensors) {
    DataCacheHeader::Blob* blob = header.add_blob();
    blob->set_dtype(static_cast<int>(tensor.dtype()));
    for (const int64_t extent : tensor.shape().dims()) blob->add_dim(extent);
    blob->set_crc32c(Crc32c({static_cast<const char*>(tensor.raw_data()), tensor.size_bytes()}));
    blob->set_offset(INT64_MAX);  // The longest, so that the header's size is an upper bound.
  }
  size_t offset = Aligned(kPreludeBytes + header.ByteSizeLong());
  const std::string padding(kAlignment + kPreludeBytes + header.ByteSizeLong(), '\0');
  const size_t first = offset;
  for (size_t i = 0; i < data.tensors.size(); ++i) {
    header.mutable_blob(i)->set_offset(offset);
    offset = Aligned(offset + data.tensors[i].size_bytes());
  }
  const std::string text = header.SerializeAsString();
  const uint32_t words[] = {static_cast<uint32_t>(text.size()), Crc32c(text)};
  std::vector<absl::string_view> pieces = {
      kMagic, {reinterpret_cast<const char*>(words), sizeof(words)}, text};
  const auto pad_to = [&](size_t from, size_t to) {
    pieces.push_back(absl::string_view(padding).substr(0, to - from));
  };
  pad_to(kPreludeBytes + text.size(), first);
  for (const Tensor& tensor : data.tensors) {
    pieces.push_back({static_cast<const char*>(tensor.raw_data()), tensor.size_bytes()});
    pad_to(tensor.size_bytes(), Aligned(tensor.size_bytes()));
  }
  return Keep(folder, name, pieces);
}

// LoadOrBuild without the data's own notes.
absl::StatusOr<CachedData> LoadOrBuildQuietly(
    absl::Span<const std::string> sources, absl::string_view recipe,
    const std::function<bool(const CachedData&)>& fits,
    const std::function<absl::StatusOr<CachedData>()>& build, Notes& notes) {
  const std::string folder = CacheFolder();
  std::vector<struct stat> facts(sources.size());
  int64_t source_bytes = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (stat(sources[i].c_str(), &facts[i]) != 0) return build();  // Which says what is wrong.
    source_bytes += facts[i].st_size;
  }
  if (folder.empty() || source_bytes < kWorthCaching) return build();

  std::string key(recipe);
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto content = ContentKey(folder, sources[i], facts[i]);
    if (!content.ok()) return build();
    absl::StrAppend(&key, " ", *content);
  }
  const std::string name = absl::StrCat(Hash(key), ".data");
  const std::string path = absl::StrCat(folder, "/", name);
  absl::StatusOr<CachedData> kept = Load(path, key);
  if (kept.ok() && !fits(*kept)) kept = Damaged("contents");
  if (kept.ok()) return kept;
  if (kept.status().code() == absl::StatusCode::kDataLoss) {
    notes.Add(absl::StrCat("data cache: ", path, ": ", kept.status().message(), "; made anew"));
  }
  MASE_ASSIGN_OR_RETURN(CachedData data, build());
  if (const absl::Status stored = Store(folder, name, key, data); !stored.ok()) {
    notes.Add(absl::StrCat("data cache: ", stored.message(), "; the next run reads ", sources[0],
                           " again"));
  }
  return data;
}

}  // namespace

absl::StatusOr<CachedData> LoadOrBuild(absl::Span<const std::string> sources,
                                       absl::string_view recipe,
                                       const std::function<bool(const CachedData&)>& fits,
                                       const std::function<absl::StatusOr<CachedData>()>& build,
                                       Notes& notes) {
  absl::StatusOr<CachedData> data = LoadOrBuildQuietly(sources, recipe, fits, build, notes);
  if (!data.ok()) return data;
  for (const std::string& note : data->notes) notes.Add(note);
  return data;
}

}  // namespace mase
