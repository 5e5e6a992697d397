#include "mase/base/temporary_files.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>

namespace mase {
namespace {

// A handler reads it: no locks, no memory of its own.
struct Slot {
  enum State : int { kFree, kTaken, kKnown };
  std::atomic<int> state = kFree;
  char path[PATH_MAX];
};
Slot slots[64];
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace

TemporaryFile::TemporaryFile(absl::string_view path) {
  if (path.size() >= sizeof(Slot::path)) return;
  for (int i = 0; i < static_cast<int>(std::size(slots)); ++i) {
    int expected = Slot::kFree;
    if (!slots[i].state.compare_exchange_strong(expected, Slot::kTaken)) continue;
    std::memcpy(slots[i].path, path.data(), path.size());
    slots[i].path[path.size()] = 0;
    slots[i].state = Slot::kKnown;
    slot_ = i;
    return;
  }
}

TemporaryFile::~TemporaryFile() {
  if (slot_ >= 0) slots[slot_].state = Slot::kFree;
}

void RemoveTemporaryFiles() {
  const int before = errno;
  for (Slot& slot : slots) {
    if (slot.state == Slot::kKnown) ::unlink(slot.path);
  }
  errno = before;
}

}  // namespace mase
