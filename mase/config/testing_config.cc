#include "mase/config/testing_config.h"

#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "google/protobuf/empty.pb.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"

namespace mase {

absl::StatusOr<const google::protobuf::Descriptor*> ResolveTestPass(absl::string_view name) {
  const std::vector<std::string> passes = {"shape_up", "first", "second", "third"};
  if (absl::c_linear_search(passes, name)) return plugins::shape_up::ShapeUpOptions::descriptor();
  if (name == "empty") return google::protobuf::Empty::descriptor();
  return absl::NotFoundError(absl::StrCat("unknown pass '", name, "'", Suggest(name, passes)));
}

absl::StatusOr<LoadedConfig> LoadText(absl::string_view text, absl::string_view name) {
  ConfigBuilder builder(TestRequest());
  MASE_RETURN_IF_ERROR(builder.AddText(text, name, "/configs"));
  return builder.Build();
}

std::string ErrorOf(absl::string_view text, absl::string_view name) {
  const absl::Status status = LoadText(text, name).status();
  return status.ok() ? "OK" : std::string(status.message());
}

plugins::shape_up::ShapeUpOptions OptionsOf(const RunConfig& config, int pass) {
  plugins::shape_up::ShapeUpOptions options;
  CHECK(config.passes(pass).options().UnpackTo(&options));
  return options;
}

}  // namespace mase
