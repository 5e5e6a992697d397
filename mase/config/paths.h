// The files that settings name.
#ifndef MASE_CONFIG_PATHS_H_
#define MASE_CONFIG_PATHS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message.h"
#include "proto/config.pb.h"

namespace mase {

// The settings with the paths in them, those of passes' options too, as seen from `folder`. Both
// are relative to the working directory; absolute paths, and those to which no way leads without
// knowing that directory, stay.
//
//   folder "out/run", load_name "nets/a.safetensors"   ->   "../../nets/a.safetensors"
RunConfig WithPathsFrom(absl::string_view folder, const RunConfig& settings);

// A file or folder that settings or flags name, and the field that does.
struct NamedPath {
  std::string field;  // "junit"
  std::string path;
};
enum class PathUse { kRead, kWritten };

// The paths in a message of settings or flags, those of passes' options too.
std::vector<NamedPath> PathsIn(const google::protobuf::Message& message, PathUse use);

// InvalidArgument, "--FIELD: OUTPUT: is the same file as INPUT, which is read; name another", if
// one of these files is to be written and read, and likewise if one is to be written twice.
absl::Status CheckNothingReadIsWritten(absl::Span<const NamedPath> written,
                                       absl::Span<const NamedPath> read);

}  // namespace mase

#endif  // MASE_CONFIG_PATHS_H_
