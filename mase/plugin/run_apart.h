// Runs a function in a process of its own.
#ifndef MASE_PLUGIN_RUN_APART_H_
#define MASE_PLUGIN_RUN_APART_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace mase {

// How it ended.
struct Apart {
  // The function's own; Internal if the process crashed or ended by itself, DeadlineExceeded if it
  // had to be ended.
  absl::Status status;
  std::string output;  // What it wrote to standard output and error, at most 4 KiB.
  double seconds = 0;
  int64_t peak_bytes = 0;  // Of its memory.
};

// Calls the function in a fork of this process, for at most `seconds`. For programs that have no
// other threads yet.
Apart RunApart(const std::function<absl::Status()>& function, int seconds);

}  // namespace mase

#endif  // MASE_PLUGIN_RUN_APART_H_
