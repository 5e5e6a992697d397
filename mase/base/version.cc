#include "mase/base/version.h"

#include <map>
#include <string>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/stubs/common.h"

namespace mase {

const char* Version() { return "0.1.0"; }

std::map<std::string, std::string> Versions() {
  return {
      {"mase", Version()},
      {"compiler", absl::StrCat("gcc ", __VERSION__)},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"abseil", absl::StrCat(ABSL_LTS_RELEASE_VERSION)},
  };
}

}  // namespace mase
