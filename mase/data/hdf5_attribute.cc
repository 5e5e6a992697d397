// Texts of attributes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/data/hdf5_child.h"
#include "mase/data/hdf5_library.h"

namespace mase {
namespace {

constexpr int kMostTexts = 1 << 20;

absl::StatusOr<Hdf5Texts> Texts(const std::string& path, const std::string& object,
                                const std::string& attribute, const std::string& label) {
  MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
  bool leads_out = false;
  const Hdf5Handle access = WithoutLinksOut(H5P_LINK_ACCESS, leads_out);
  if (H5Aexists_by_name(file, object.c_str(), attribute.c_str(), access) <= 0) {
    return absl::NotFoundError(absl::StrCat(label, " is not there"));
  }
  const auto failed = [&label] {
    return absl::DataLossError(absl::StrCat(label, " is damaged: reading it failed"));
  };
  const Hdf5Handle opened(
      H5Aopen_by_name(file, object.c_str(), attribute.c_str(), H5P_DEFAULT, access), H5Aclose);
  if (!opened.ok()) return failed();
  const Hdf5Handle type(H5Aget_type(opened), H5Tclose), space(H5Aget_space(opened), H5Sclose);
  if (!type.ok() || !space.ok()) return failed();
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const size_t bytes = H5Tget_size(type);
  Hdf5Texts texts;
  if (count == 0) return texts;
  if (H5Tget_class(type) != H5T_STRING || bytes == 0) {
    return absl::UnimplementedError(absl::StrCat(label, " is no list of texts"));
  }
  if (count < 0 || count > kMostTexts || bytes > static_cast<size_t>(limits::kMaxNameBytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(label, " has ", count, " texts of ", bytes, " bytes"));
  }
  int64_t all = 0;
  const auto add = [&](absl::string_view text) {
    texts.add_text(std::string(text));
    all += static_cast<int64_t>(text.size()) + 1;
    return all <= limits::kMaxHdf5TextBytes;
  };
  const auto too_many = [&label] {
    return absl::ResourceExhaustedError(absl::StrCat(label, ": more than the limit of ",
                                                     limits::kMaxHdf5TextBytes, " bytes of texts"));
  };
  if (H5Tis_variable_str(type) != 0) {
    std::vector<char*> found(static_cast<size_t>(count), nullptr);  // They end with the child.
    if (H5Aread(opened, type, found.data()) < 0) return failed();
    for (const char* text : found) {
      if (!add(text == nullptr ? "" : text)) return too_many();
    }
    return texts;
  }
  std::string read(static_cast<size_t>(count) * bytes, '\0');
  if (H5Aread(opened, type, read.data()) < 0) return failed();
  for (size_t at = 0; at < read.size(); at += bytes) {
    const absl::string_view text = absl::string_view(read).substr(at, bytes);
    if (!add(text.substr(0, text.find('\0')))) return too_many();
  }
  return texts;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadHdf5Texts(const std::string& path,
                                                       const std::string& object,
                                                       const std::string& attribute) {
  const std::string label =
      absl::StrCat(path, ": attribute ", Quoted(attribute), " of ", Quoted(object));
  // Each text has its length in front of it.
  MASE_ASSIGN_OR_RETURN(const ChildLimits limits,
                        ChildLimitsFor(path, 4 * limits::kMaxHdf5TextBytes));
  MASE_ASSIGN_OR_RETURN(const Hdf5Texts answer, AskHdf5<Hdf5Texts>(limits, label, [&] {
                          return Texts(path, object, attribute, label);
                        }));
  if (answer.text_size() > kMostTexts) {
    return absl::DataLossError(absl::StrCat(label, " is damaged: reading it overwrote memory"));
  }
  std::vector<std::string> texts(answer.text().begin(), answer.text().end());
  for (const std::string& text : texts) {
    if (static_cast<int64_t>(text.size()) > limits::kMaxNameBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(label, " has a text too long"));
    }
  }
  return texts;
}

}  // namespace mase
