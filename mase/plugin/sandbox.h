// What a process may still do that runs the code of a plugin: compute, in bounded memory and time,
// and talk on the descriptors that it has.
#ifndef MASE_PLUGIN_SANDBOX_H_
#define MASE_PLUGIN_SANDBOX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mase {

struct SandboxLimits {
  int64_t memory_bytes = 0;           // Of addresses (RLIMIT_AS).
  int64_t cpu_seconds = 0;            // In all.
  std::vector<std::string> readable;  // Folders that may be read besides the system's libraries.
};

// From here on this process, which must have one thread yet, and all that it starts
//
//   gains no privileges, has no capabilities and leaves no core file
//   writes, makes, renames and removes no file; reads those of `readable` and of the system's
//   libraries alone (Landlock, Linux 5.13; before that it reads what its user may)
//   has no network and no new sockets, starts no program and no process, sends no signals, changes
//   nothing of the machine (seccomp)
//
// Internal, with the reason, where the kernel does not grant that; the process is not to go on.
absl::Status EnterSandbox(const SandboxLimits& limits);

}  // namespace mase

#endif  // MASE_PLUGIN_SANDBOX_H_
