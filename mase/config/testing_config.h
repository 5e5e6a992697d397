// Test-only: settings with a made-up pass, and short ways to load them.
#ifndef MASE_CONFIG_TESTING_CONFIG_H_
#define MASE_CONFIG_TESTING_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/config/config.h"
#include "mase/config/testing_options.pb.h"

namespace mase {

// Knows the passes shape_up, first, second and third, all with ShapeUpOptions,
// and empty, which has none.
absl::StatusOr<const google::protobuf::Descriptor*> ResolveTestPass(absl::string_view name);

inline ConfigRequest TestRequest() {
  return {ResolveTestPass, /*read_passes=*/true, /*read_search=*/true};
}

// A text as the only file, called "f.toml" or the like, in the folder /configs.
absl::StatusOr<LoadedConfig> LoadText(absl::string_view text, absl::string_view name = "f.toml");

// The message of the error that loading gives; "OK" if none.
std::string ErrorOf(absl::string_view text, absl::string_view name = "f.toml");

// The options of one pass.
plugins::shape_up::ShapeUpOptions OptionsOf(const RunConfig& config, int pass);

}  // namespace mase

#endif  // MASE_CONFIG_TESTING_CONFIG_H_
