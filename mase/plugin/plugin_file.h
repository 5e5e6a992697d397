// A plugin as a file: whether somebody else could have put it there, and whether it is the one that
// was meant.
#ifndef MASE_PLUGIN_PLUGIN_FILE_H_
#define MASE_PLUGIN_PLUGIN_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

struct PluginFile {
  std::string real_path;  // Without links: what is checked and read.
  std::string bytes;
};

// A file in memory that holds `bytes` and that nobody can change any more: what was checked and
// hashed is what is opened, whoever writes to the file on the disk meanwhile. Its descriptor, which
// stays open as long as the program; of the same path and bytes always the same one. Debuggers and
// /proc/self/maps show it as "/memfd:NAME.so". Internal where the system gives none.
absl::StatusOr<int> SealedCopy(const PluginFile& file);

// The path by which the linker, and this process, open a descriptor.
std::string DescriptorPath(int descriptor);

// Reads the file that `path` leads to. PermissionDenied, saying what to do, where
//
//   it lies in none of `folders`, all links followed (no folders: it may lie anywhere)
//   everybody may write to it, or to its folder (unless the sticky bit keeps others from replacing
//   it)
//
// NotFound if there is none; InvalidArgument where it cannot be read or is no regular file;
// ResourceExhausted beyond limits::kMaxPluginBytes.
absl::StatusOr<PluginFile> ReadPluginFile(const std::string& path,
                                          const std::vector<std::string>& folders);

// The SHA-256 (FIPS 180-4) of bytes: 64 lower-case hexadecimal digits.
std::string Sha256(absl::string_view bytes);

// OK if `bytes` have this SHA-256, given in hexadecimal digits of either case. InvalidArgument if
// it is no such; PermissionDenied, showing both, if they have another.
absl::Status CheckSha256(absl::string_view bytes, absl::string_view wanted);

// The path without links; "" where it does not exist.
std::string RealPath(const std::string& path);

}  // namespace mase

#endif  // MASE_PLUGIN_PLUGIN_FILE_H_
