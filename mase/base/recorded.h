// What runs record of when and where they were. A reproducible run records nothing of it, so that
// equal runs write equal bytes on any machine, at any time and in any folder:
//
//   times      RecordedTime() stands still, at the Unix epoch, so that every duration is 0
//   host       RecordedHost() is "localhost"
//   folders    UserPath() (runfiles.h) leaves relative paths as they are
//
// Nor does it wait for the disk where it writes files: what is lost with the machine is made anew.
//
// Whether runs are reproducible is a fact of the process, as its working directory is. What only
// people see, such as progress, takes absl::Now().
#ifndef MASE_BASE_RECORDED_H_
#define MASE_BASE_RECORDED_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace mase {

// False until it is set. Setting it while runs are at work is an error of the caller.
bool IsReproducible();

// Sets it. Where it becomes true the process goes to the folder of its caller, if a build tool has
// started it in another (`bazel run`), as relative paths are from there. NotFound if it cannot.
absl::Status SetReproducible(bool reproducible);

// Now; the Unix epoch where runs are reproducible.
absl::Time RecordedTime();

// The name of this machine; "localhost" where it has none, or runs are reproducible.
std::string RecordedHost();

}  // namespace mase

#endif  // MASE_BASE_RECORDED_H_
