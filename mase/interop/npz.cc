#include "mase/interop/npz.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr absl::string_view kEnding = ".npy";

}  // namespace

absl::StatusOr<NpzFile> NpzFile::Open(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(bytes));
  return NpzFile(std::move(archive));
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const std::string& member : archive_.names()) {
    absl::string_view name = member;
    if (absl::ConsumeSuffix(&name, kEnding)) names.emplace_back(name);
  }
  return names;
}

bool NpzFile::Has(const std::string& name) const {
  return archive_.Has(absl::StrCat(name, kEnding));
}

absl::StatusOr<std::string> NpzFile::Unpack(const std::string& name) const {
  return archive_.Unpack(absl::StrCat(name, kEnding));
}

}  // namespace mase
