// How this project uses absl::StatusCode, and how a code becomes an exit code.
//
//   InvalidArgument     a config, flag, graph or option is wrong           exit 2
//   NotFound            a name or file does not exist                      exit 2
//   AlreadyExists       a name is taken; a run directory exists            exit 2
//   Unimplemented       a valid request that this build cannot serve       exit 2
//   DataLoss            a file is truncated or corrupt                     exit 4
//   ResourceExhausted   a limit of base/limits.h is exceeded               exit 4
//   PermissionDenied    a plugin was refused (handshake, duplicate name)   exit 4
//   Aborted             a goal that the user set was not met               exit 3
//   Cancelled           interrupted by the user, state saved               exit 130
//   anything else       the run failed (I/O, numbers, our bug)             exit 1
#ifndef MASE_BASE_STATUS_H_
#define MASE_BASE_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

// `status` with "context: " before its message; code and payloads stay. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// The process exit code of the table above; 0 for OK.
int ExitCode(const absl::Status& status);

}  // namespace mase

#endif  // MASE_BASE_STATUS_H_
