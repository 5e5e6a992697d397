#include "mase/format/shared_format.h"

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

struct Known {
  absl::Mutex mutex;
  // By the bytes of the description, which are the same for the same fields.
  absl::flat_hash_map<std::string, std::shared_ptr<const Format>> formats ABSL_GUARDED_BY(mutex);
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Format>> SharedFormat(const FormatProto& proto) {
  static Known& known = *new Known;
  std::string key = proto.SerializeAsString();
  {
    absl::MutexLock lock(&known.mutex);
    if (const auto found = known.formats.find(key); found != known.formats.end()) {
      return found->second;
    }
  }
  MASE_ASSIGN_OR_RETURN(std::shared_ptr<const Format> format, Format::Create(proto));
  absl::MutexLock lock(&known.mutex);
  if (known.formats.size() >= kMaxSharedFormats) known.formats.clear();
  return known.formats.emplace(std::move(key), std::move(format)).first->second;
}

}  // namespace mase
