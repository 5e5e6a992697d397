// A look at a file before the dynamic linker maps it.
#ifndef MASE_PLUGIN_ELF_CHECK_H_
#define MASE_PLUGIN_ELF_CHECK_H_

#include <string>

#include "absl/status/status.h"

namespace mase {

// OK if the file is a shared object for this machine and as long as its headers
// say: the dynamic linker maps what they declare, and touching a page beyond the
// end of a truncated file kills the process. NotFound if it cannot be opened, else
// PermissionDenied; messages leave the path to the caller.
absl::Status CheckElfSharedObject(const std::string& path);

}  // namespace mase

#endif  // MASE_PLUGIN_ELF_CHECK_H_
