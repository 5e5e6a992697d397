#include "mase/base/system_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <utility>

namespace mase {
namespace {

std::atomic<bool> injecting = false;  // Outside of tests this is all that a call looks at.
std::mutex mutex;
FaultChoice& Choice() {
  static FaultChoice* const choice = new FaultChoice;
  return *choice;
}

int FaultOf(SystemCall call) {
  if (!injecting.load(std::memory_order_acquire)) return 0;
  const std::lock_guard<std::mutex> lock(mutex);
  return Choice() == nullptr ? 0 : Choice()(call);
}

// Whether the call is to fail; sets errno.
bool Fails(SystemCall call) {
  const int fault = FaultOf(call);
  if (fault <= 0) return false;
  errno = fault;
  return true;
}

// The bytes that a call gets to move, or -1 where it is to fail.
ssize_t Granted(SystemCall call, size_t count) {
  const int fault = FaultOf(call);
  if (fault == kShortWrite) return static_cast<ssize_t>(std::min<size_t>(count, 1));
  if (fault == 0) return static_cast<ssize_t>(count);
  errno = fault;
  return -1;
}

}  // namespace

void InjectFaults(FaultChoice choice) {
  const std::lock_guard<std::mutex> lock(mutex);
  injecting.store(choice != nullptr, std::memory_order_release);
  Choice() = std::move(choice);
}

namespace system_calls {

int Open(const char* path, int flags, mode_t mode) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (Fails(writes ? SystemCall::kOpenToWrite : SystemCall::kOpenToRead)) return -1;
  return ::open(path, flags, mode);
}

ssize_t Read(int file, void* bytes, size_t count) {
  const ssize_t granted = Granted(SystemCall::kRead, count);
  return granted < 0 ? -1 : ::read(file, bytes, static_cast<size_t>(granted));
}

ssize_t Write(int file, const void* bytes, size_t count) {
  const ssize_t granted = Granted(SystemCall::kWrite, count);
  return granted < 0 ? -1 : ::write(file, bytes, static_cast<size_t>(granted));
}

int Sync(int file) { return Fails(SystemCall::kSync) ? -1 : ::fsync(file); }

int Close(int file) {
  const int fault = FaultOf(SystemCall::kClose);
  const int closed = ::close(file);
  if (fault <= 0) return closed;
  errno = fault;
  return -1;
}

int Rename(const char* from, const char* to) {
  return Fails(SystemCall::kRename) ? -1 : std::rename(from, to);
}

}  // namespace system_calls
}  // namespace mase
