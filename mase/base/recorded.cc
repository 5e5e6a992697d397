#include "mase/base/recorded.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace mase {
namespace {

std::atomic<bool> is_reproducible = false;

}  // namespace

bool IsReproducible() { return is_reproducible; }

absl::Status SetReproducible(bool reproducible) {
  const char* caller = std::getenv("BUILD_WORKING_DIRECTORY");
  if (reproducible && caller != nullptr && chdir(caller) != 0) {
    return absl::NotFoundError(absl::StrCat(
        "BUILD_WORKING_DIRECTORY, the folder that a reproducible run is from, cannot be entered: ",
        caller));
  }
  is_reproducible = reproducible;
  return absl::OkStatus();
}

absl::Time RecordedTime() { return is_reproducible ? absl::UnixEpoch() : absl::Now(); }

std::string RecordedHost() {
  char host[256] = "localhost";
  if (!is_reproducible) gethostname(host, sizeof host - 1);
  return host;
}

}  // namespace mase
