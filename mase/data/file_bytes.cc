#include "mase/data/file_bytes.h"

#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/interop/inflate.h"

namespace mase {
namespace {

absl::Status TooLarge(const InputFile& file, absl::string_view path) {
  if (file.size() <= limits::kMaxDataFileBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      path, ": ", file.size(), " bytes, more than the limit of ", limits::kMaxDataFileBytes));
}

}  // namespace

absl::StatusOr<FileBytes> FileBytes::Map(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  MASE_RETURN_IF_ERROR(TooLarge(file, path));
  const size_t size = file.size();
  if (size == 0) return FileBytes(nullptr, "");
  void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (memory == MAP_FAILED) return FileError(path, "map", errno);
  std::shared_ptr<const void> owner(memory, [size](void* m) { munmap(m, size); });
  return FileBytes(std::move(owner), absl::string_view(static_cast<const char*>(memory), size));
}

absl::StatusOr<FileBytes> FileBytes::Open(absl::string_view path, int64_t max_unpacked) {
  MASE_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  MASE_RETURN_IF_ERROR(TooLarge(file, path));
  MASE_RETURN_IF_ERROR(CheckMemory(file.size(), path));
  auto owner = std::make_shared<std::string>(file.size(), '\0');
  MASE_RETURN_IF_ERROR(file.Read(absl::MakeSpan(*owner)).status());
  MASE_RETURN_IF_ERROR(file.CheckUnchanged());
  if (absl::StartsWith(*owner, "\x1f\x8b")) {
    absl::StatusOr<std::string> unpacked = Inflate(*owner, Packing::kGzip, max_unpacked);
    if (!unpacked.ok()) return Annotate(unpacked.status(), path);
    *owner = *std::move(unpacked);
  }
  const absl::string_view bytes = *owner;
  return FileBytes(std::move(owner), bytes);
}

}  // namespace mase
