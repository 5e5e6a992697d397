#include <algorithm>

#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/data/hdf5_file.h"

namespace mase {

absl::StatusOr<std::vector<std::string>> ReadHdf5Texts(const std::string& path,
                                                       const std::string& object,
                                                       const std::string& attribute) {
  const std::string label =
      absl::StrCat(path, ": attribute ", Quoted(attribute), " of ", Quoted(object));
  const auto damaged = [&] { return absl::DataLossError(absl::StrCat(label, " is damaged")); };
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.ok()) return absl::DataLossError(absl::StrCat(path, ": a damaged HDF5 file"));
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
  std::vector<std::string> texts;
  if (H5Tis_variable_str(type) != 0) {
    // The library allocates each text, of what the file holds of it.
    std::vector<char*> found(static_cast<size_t>(count), nullptr);
    const bool read = H5Aread(opened, type, found.data()) >= 0;
    bool fits = true;
    for (const char* text : found) {
      const absl::string_view view = text == nullptr ? "" : text;
      fits &= static_cast<int64_t>(view.size()) <= limits::kMaxNameBytes;
      if (fits) texts.emplace_back(view);
    }
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, found.data());
    if (!read) return damaged();
    if (!fits) return absl::ResourceExhaustedError(absl::StrCat(label, " has a text too long"));
    return texts;
  }
  std::string all(static_cast<size_t>(count) * bytes, '\0');
  if (H5Aread(opened, type, all.data()) < 0) return damaged();
  for (hssize_t i = 0; i < count; ++i) {
    const std::string text = all.substr(static_cast<size_t>(i) * bytes, bytes);
    texts.push_back(text.substr(0, std::min(text.find('\0'), text.size())));
  }
  return texts;
}

}  // namespace mase
