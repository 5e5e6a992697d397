#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/in_child.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/hdf5_file.h"

namespace mase {
namespace {

// What lies in the file are sizes and places of texts, which the library takes as they are.
absl::StatusOr<std::vector<std::string>> ReadTextsOfAnyLength(hid_t attribute, hid_t type,
                                                              size_t count,
                                                              const std::string& label) {
  const absl::StatusOr<std::string> ended = RunInChild(
      [&]() -> absl::StatusOr<std::string> {
        std::vector<char*> found(count, nullptr);
        if (H5Aread(attribute, type, found.data()) < 0) return absl::DataLossError("failed");
        std::string all;  // Each text with a zero behind it. All memory ends with the child.
        for (const char* text : found) {
          if (text != nullptr) all.append(text);
          all.push_back('\0');
          if (all.size() > limits::kMaxHdf5TextBytes) break;
        }
        return all;
      },
      {.answer_bytes = limits::kMaxHdf5TextBytes});
  if (absl::IsDataLoss(ended.status())) {
    return absl::DataLossError(
        absl::StrCat(label, " is damaged: reading it ", ended.status().message()));
  }
  if (!ended.ok()) return Annotate(ended.status(), label);
  std::vector<std::string> texts = absl::StrSplit(*ended, '\0');
  if (texts.size() != count + 1 || !texts.back().empty()) {
    return absl::DataLossError(absl::StrCat(label, " is damaged: reading it overwrote memory"));
  }
  texts.pop_back();
  for (const std::string& text : texts) {
    if (static_cast<int64_t>(text.size()) > limits::kMaxNameBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(label, " has a text too long"));
    }
  }
  return texts;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadHdf5Texts(const std::string& path,
                                                       const std::string& object,
                                                       const std::string& attribute) {
  const std::string label =
      absl::StrCat(path, ": attribute ", Quoted(attribute), " of ", Quoted(object));
  const auto damaged = [&] { return absl::DataLossError(absl::StrCat(label, " is damaged")); };
  MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
  // A file must not lead to others.
  const H5L_elink_traverse_t refuse = [](const char*, const char*, const char*, const char*,
                                         unsigned*, hid_t, void*) noexcept -> herr_t { return -1; };
  const Hdf5Handle access(H5Pcreate(H5P_LINK_ACCESS), H5Pclose);
  if (!access.ok() || H5Pset_elink_cb(access, refuse, nullptr) < 0) {
    return absl::InternalError("HDF5: no properties for opening an attribute");
  }
  if (H5Aexists_by_name(file, object.c_str(), attribute.c_str(), access) <= 0) {
    return absl::NotFoundError(absl::StrCat(label, " is not there"));
  }
  const Hdf5Handle opened(
      H5Aopen_by_name(file, object.c_str(), attribute.c_str(), H5P_DEFAULT, access), H5Aclose);
  if (!opened.ok()) return damaged();
  const Hdf5Handle type(H5Aget_type(opened), H5Tclose), space(H5Aget_space(opened), H5Sclose);
  if (!type.ok() || !space.ok()) return damaged();
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const size_t bytes = H5Tget_size(type);
  if (count == 0) return std::vector<std::string>();
  if (H5Tget_class(type) != H5T_STRING || bytes == 0) {
    return absl::UnimplementedError(absl::StrCat(label, " is no list of texts"));
  }
  if (count < 0 || count > (1 << 20) || bytes > static_cast<size_t>(limits::kMaxNameBytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(label, " has ", count, " texts of ", bytes, " bytes"));
  }
  if (H5Tis_variable_str(type) != 0) {
    return ReadTextsOfAnyLength(opened, type, static_cast<size_t>(count), label);
  }
  std::string all(static_cast<size_t>(count) * bytes, '\0');
  if (H5Aread(opened, type, all.data()) < 0) return damaged();
  std::vector<std::string> texts;
  for (hssize_t i = 0; i < count; ++i) {
    const std::string text = all.substr(static_cast<size_t>(i) * bytes, bytes);
    texts.push_back(text.substr(0, std::min(text.find('\0'), text.size())));
  }
  return texts;
}

}  // namespace mase
