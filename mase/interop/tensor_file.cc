#include "mase/interop/tensor_file.h"

#include <string>
#include <utility>
#include <variant>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/interop/foreign_file.h"
#include "mase/interop/npy.h"
#include "mase/interop/npz.h"
#include "mase/interop/torch_file.h"
#include "mase/interop/zip_archive.h"

namespace mase {
namespace {

constexpr int64_t kHeadBytes = 64;

absl::StatusOr<SafeTensors> ParseNpz(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(const NpzFile file, NpzFile::Open(bytes));
  SafeTensors contents;
  for (const std::string& name : file.names()) {
    MASE_ASSIGN_OR_RETURN(const std::string array, file.Unpack(name));
    MASE_ASSIGN_OR_RETURN(auto parsed, ParseNpy(array, Quoted(name)));
    if (auto* tensor = std::get_if<Tensor>(&parsed)) {
      contents.tensors.push_back({name, std::move(*tensor)});
    } else {
      contents.unread.push_back({name, "text", std::get<NpyTexts>(parsed).shape});
    }
  }
  return contents;
}

absl::StatusOr<SafeTensors> ParseZip(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(bytes));
  const std::vector<std::string> names = archive.names();
  const auto has = [&](absl::string_view ending) {
    return absl::c_any_of(names,
                          [&](const std::string& name) { return absl::EndsWith(name, ending); });
  };
  if (has("data.pkl")) return ParseTorchFile(bytes);
  if (has(".npy")) return ParseNpz(bytes);
  return absl::InvalidArgumentError(DescribeForeignFile(bytes));
}

}  // namespace

absl::StatusOr<SafeTensors> ReadTensorFile(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string head, ReadHead(path, kHeadBytes));
  const bool zip = IsZip(head);
  if (!zip && !IsOldTorchFile(head)) return ReadSafeTensors(path);
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxCheckpointBytes));
  absl::StatusOr<SafeTensors> contents = zip ? ParseZip(bytes) : ParseTorchFile(bytes);
  if (!contents.ok()) return Annotate(contents.status(), path);
  return contents;
}

}  // namespace mase
