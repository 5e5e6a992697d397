// Disks that fail, one call after another, under a whole run.
//
//   FailEachCall({.run = [](const std::string& directory) -> absl::Status { ... },
//                 .folder = NewFolder(), .file = "best.safetensors"});
#ifndef MASE_TESTING_FAIL_EACH_CALL_H_
#define MASE_TESTING_FAIL_EACH_CALL_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace mase {

struct FailedRuns {
  // Begins a run in `directory`, or goes on with the one that is in it.
  std::function<absl::Status(const std::string& directory)> run;
  std::string folder;  // Where their directories are made.
  std::string file;    // In a run's directory: what is compared.
  int step = 1;        // Every how many calls one fails.
};

// Lets the calls by which the run reads and writes files (base/system_calls.h) fail in turn, each
// with another of no space, an I/O error, an interrupt and a short read or write. Expects of each
// run that it ends with an error or did not need the call, leaves no temporary files, and that what
// is begun again after it ends with the same bytes.
void FailEachCall(const FailedRuns& runs);

}  // namespace mase

#endif  // MASE_TESTING_FAIL_EACH_CALL_H_
