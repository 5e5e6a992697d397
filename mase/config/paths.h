// The files that settings name.
#ifndef MASE_CONFIG_PATHS_H_
#define MASE_CONFIG_PATHS_H_

#include "absl/strings/string_view.h"
#include "proto/config.pb.h"

namespace mase {

// The settings with the paths in them, those of passes' options too, as seen from `folder`. Both
// are relative to the working directory; absolute paths, and those to which no way leads without
// knowing that directory, stay.
//
//   folder "out/run", load_name "nets/a.safetensors"   ->   "../../nets/a.safetensors"
RunConfig WithPathsFrom(absl::string_view folder, const RunConfig& settings);

}  // namespace mase

#endif  // MASE_CONFIG_PATHS_H_
