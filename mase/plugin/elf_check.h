// A look at a file before the dynamic linker maps it.
#ifndef MASE_PLUGIN_ELF_CHECK_H_
#define MASE_PLUGIN_ELF_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

// OK if the file is a shared object for this machine, as long as its headers say and with
// `function` among its functions. The dynamic linker maps what the headers declare, and touching a
// page beyond the end of a truncated file kills the process; and it runs constructors, which a
// library that is no plugin may have too. Errors of ReadFile if it cannot be read, else
// PermissionDenied; messages leave the path to the caller.
absl::Status CheckElfSharedObject(const std::string& path, absl::string_view function);

}  // namespace mase

#endif  // MASE_PLUGIN_ELF_CHECK_H_
