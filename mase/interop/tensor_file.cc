#include "mase/interop/tensor_file.h"

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
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
#include "nlohmann/json.hpp"

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

// Parts of one file of tensors, by an index: {"weight_map": {TENSOR: FILE, ...}}, files beside it.
absl::StatusOr<SafeTensors> ReadSharded(absl::string_view path) {
  const auto bad = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": index of tensors: ", what...));
  };
  MASE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, limits::kMaxPickleBytes));
  using Json = nlohmann::json;
  const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth < 8; };
  const Json index = Json::parse(text, shallow, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    return bad("is JSON without \"weight_map\", which names each tensor's file");
  }
  const std::string folder(path.substr(0, path.rfind('/') + 1));
  std::map<std::string, std::vector<std::string>> tensors_of;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    // Beside the index: no file of the machine that an index might point to.
    if (name.empty() || name[0] == '.' || absl::StrContains(name, "/")) {
      return bad("tensor ", Quoted(tensor), " is in ", Quoted(name),
                 ", which is no name of a file beside it");
    }
    tensors_of[name].push_back(tensor);
  }
  if (static_cast<int64_t>(tensors_of.size()) > limits::kMaxArchiveMembers) {
    return absl::ResourceExhaustedError(absl::StrCat(
        path, ": ", tensors_of.size(), " files; the limit is ", limits::kMaxArchiveMembers));
  }
  SafeTensors all;
  for (const auto& [name, tensors] : tensors_of) {
    MASE_ASSIGN_OR_RETURN(SafeTensors part, ReadSafeTensors(absl::StrCat(folder, name)));
    absl::flat_hash_map<std::string, const NamedTensor*> read;
    for (const NamedTensor& tensor : part.tensors) read[tensor.name] = &tensor;
    for (const std::string& tensor : tensors) {
      const auto unread = absl::c_find_if(
          part.unread, [&](const UnreadTensor& other) { return other.name == tensor; });
      if (const auto found = read.find(tensor); found != read.end()) {
        all.tensors.push_back(*found->second);
      } else if (unread != part.unread.end()) {
        all.unread.push_back(*unread);
      } else {
        return bad("tensor ", Quoted(tensor), " is not in ", Quoted(name));
      }
      if (const auto type = part.widened.find(tensor); type != part.widened.end()) {
        all.widened.insert(*type);
      }
    }
  }
  return all;
}

}  // namespace

absl::StatusOr<SafeTensors> ReadTensorFile(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string head, ReadHead(path, kHeadBytes));
  // The length of a safetensors header may begin with the byte of a brace, but not go on as text.
  const bool text = !absl::StrContains(head, '\0');
  if (text && absl::StartsWith(absl::StripLeadingAsciiWhitespace(head), "{")) {
    return ReadSharded(path);
  }
  const bool zip = IsZip(head);
  if (!zip && !IsOldTorchFile(head)) return ReadSafeTensors(path);
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxCheckpointBytes));
  absl::StatusOr<SafeTensors> contents = zip ? ParseZip(bytes) : ParseTorchFile(bytes);
  if (!contents.ok()) return Annotate(contents.status(), path);
  return contents;
}

}  // namespace mase
