#include "mase/data/hdf5_child.h"

#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/data/hdf5_library.h"

namespace mase {

absl::Status DamagedHdf5(absl::string_view path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": damaged or truncated HDF5 file: ", what));
}

absl::StatusOr<ChildLimits> ChildLimitsFor(const std::string& path, int64_t answer_bytes) {
  // The library would wait for a pipe.
  MASE_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  if (file.size() > limits::kMaxDataFileBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        path, ": ", file.size(), " bytes, more than the limit of ", limits::kMaxDataFileBytes));
  }
  // The library is set up once, here, and not in each child. It opens nothing.
  static const herr_t ready = H5open();
  if (ready < 0) return absl::InternalError("libhdf5 cannot be set up");
  // At least 64 MB of a file a second of processor time, and 1 MB a second on slow networks.
  return ChildLimits{.answer_bytes = answer_bytes,
                     .cpu_seconds = limits::kChildCpuSeconds + (file.size() >> 26),
                     .seconds = limits::kChildSeconds + (file.size() >> 20)};
}

absl::StatusOr<std::string> AskHdf5Child(
    const ChildLimits& limits, absl::string_view label,
    absl::FunctionRef<absl::StatusOr<std::string>()> function) {
  // What the function says itself, error or not, is an answer, in front of which its code stands.
  const absl::StatusOr<std::string> answer = RunInChild(
      [&]() -> absl::StatusOr<std::string> {
        const absl::StatusOr<std::string> made = function();
        return absl::StrCat(std::string(1, static_cast<char>(made.status().code())),
                            made.ok() ? *made : made.status().message());
      },
      limits);
  const auto lost = [label](absl::string_view why) {
    return absl::DataLossError(absl::StrCat(label, " is damaged: reading it ", why));
  };
  if (absl::IsDataLoss(answer.status())) return lost(answer.status().message());
  if (!answer.ok()) return Annotate(answer.status(), label);
  if (answer->empty()) return lost("overwrote memory");
  const auto code = static_cast<absl::StatusCode>(answer->front());
  switch (code) {
    case absl::StatusCode::kOk:
      return answer->substr(1);
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kResourceExhausted:
      return absl::Status(
          code, Shortened(absl::string_view(*answer).substr(1), limits::kMaxMessageBytes));
    default:
      return lost("overwrote memory");
  }
}

absl::StatusOr<Hdf5Handle> OpenHdf5(const std::string& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // Errors are ours to report.
  H5PLset_loading_state(0);                     // A file must not make us load code.
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access, false, true);  // Locks fail on read-only and network folders.
  Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!file.ok()) return DamagedHdf5(path, "it cannot be opened");
  return file;
}

Hdf5Handle WithoutLinksOut(hid_t kind, bool& met) {
  const H5L_elink_traverse_t refuse = [](const char*, const char*, const char*, const char*,
                                         unsigned*, hid_t, void* told) noexcept -> herr_t {
    *static_cast<bool*>(told) = true;
    return -1;
  };
  Hdf5Handle access(H5Pcreate(kind), H5Pclose);
  H5Pset_elink_cb(access, refuse, &met);
  return access;
}

}  // namespace mase
