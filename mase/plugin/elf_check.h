// Whether a file is a plugin that can be opened, found out by reading it: opening runs code of it.
#ifndef MASE_PLUGIN_ELF_CHECK_H_
#define MASE_PLUGIN_ELF_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// OK if the bytes are a whole shared object for this machine with that function in its table of
// dynamic symbols; else PermissionDenied. A truncated one would end the process with SIGBUS when it
// is opened.
absl::Status CheckElfSharedObject(absl::string_view file, absl::string_view function);

// The text of its note of the owner MASE (plugin_info.h). PermissionDenied if it has none. Of a
// file that passed the check above.
absl::StatusOr<std::string> PluginNoteOf(absl::string_view file);

// OK if none of the proto files that are compiled into it, and none of their messages and enums,
// has the name of one that this program knows already; else PermissionDenied, naming it. Protobuf
// ends the program that opens such a file.
absl::Status CheckProtoFiles(absl::string_view file);

}  // namespace mase

#endif  // MASE_PLUGIN_ELF_CHECK_H_
