#include "mase/data/data_cache.h"

#include <isa-l/crc64.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"
#include "mase/data/cache_file.h"

namespace mase {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWorthCaching = 1 << 20;
constexpr int64_t kMaxMemoBytes = 4096;
constexpr size_t kReadBytes = 1 << 20;

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

absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? FileError(folder, "create", error.value()) : absl::OkStatus();
}

absl::Status KeepMemo(const std::string& folder, const std::string& name,
                      absl::string_view stat_key, absl::string_view hash) {
  MASE_RETURN_IF_ERROR(MakeFolder(folder));
  return WriteFileAtomically(absl::StrCat(folder, "/", name), {stat_key, hash},
                             Durability::kUnsynced);
}

absl::Status KeepData(const std::string& folder, const std::string& path, const std::string& key,
                      const CachedData& data) {
  MASE_RETURN_IF_ERROR(MakeFolder(folder));
  return WriteCacheFile(path, key, data);
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
    KeepMemo(folder, memo_name, stat_key, hash).IgnoreError();
  }
  return absl::StrCat(hash, "-", facts.st_size);
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
  absl::StatusOr<CachedData> kept = ReadCacheFile(path, key);
  if (kept.ok() && !fits(*kept)) kept = absl::DataLossError("damaged: contents");
  if (kept.ok()) return kept;
  if (kept.status().code() == absl::StatusCode::kDataLoss) {
    notes.Add(absl::StrCat("data cache: ", path, ": ", kept.status().message(), "; made anew"));
  }
  MASE_ASSIGN_OR_RETURN(CachedData data, build());
  if (const absl::Status stored = KeepData(folder, path, key, data); !stored.ok()) {
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
