// The system calls by which files are read and written, with a seam for tests: any of them can be
// made to fail as disks do.
//
//   InjectFaults([&](SystemCall call) -> int { return ++calls == 7 ? ENOSPC : 0; });
//   ... a run, whose seventh call fails ...
//   InjectFaults(nullptr);
//
// Results and errno are those of the functions in unistd.h.
#ifndef MASE_BASE_SYSTEM_CALLS_H_
#define MASE_BASE_SYSTEM_CALLS_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>

namespace mase {

enum class SystemCall { kOpenToRead, kOpenToWrite, kRead, kWrite, kSync, kClose, kRename };

// What is to happen in place of a call: 0, the call itself; an errno, with which it then fails
// (a failing close closes); kShortWrite.
using FaultChoice = std::function<int(SystemCall)>;
inline constexpr int kShortWrite = -1;  // A write of one byte alone, and a read of one.

// For tests alone: asks `choice` at every call from now on, in all threads, one at a time. Null:
// no longer.
void InjectFaults(FaultChoice choice);

namespace system_calls {

int Open(const char* path, int flags, mode_t mode = 0);
ssize_t Read(int file, void* bytes, size_t count);
ssize_t Write(int file, const void* bytes, size_t count);
int Sync(int file);
int Close(int file);
int Rename(const char* from, const char* to);

}  // namespace system_calls
}  // namespace mase

#endif  // MASE_BASE_SYSTEM_CALLS_H_
