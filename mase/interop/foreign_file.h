// What a file is that is no safetensors file, for the message that refuses it.
#ifndef MASE_INTEROP_FOREIGN_FILE_H_
#define MASE_INTEROP_FOREIGN_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

// What the file with these bytes is, and how its weights become a safetensors file, as the rest of
// a sentence that begins with the file's name:
//
//   "is a GGUF file, as llama.cpp reads; save the float weights as safetensors"
//
// Empty where the content is of no kind that is known. Kinds are told by their signatures, by names
// of archive members and, last, by being text; nothing is unpacked or parsed.
std::string DescribeForeignFile(absl::string_view bytes);

// OK if `path` is a regular file or a link to one. Opening a pipe would wait for its writer, and
// reading a device has no end, so this asks before. NotFound: there is no such file;
// InvalidArgument: it is a directory, a pipe, a socket or a device, which the message says.
absl::Status CheckRegularFile(absl::string_view path);

}  // namespace mase

#endif  // MASE_INTEROP_FOREIGN_FILE_H_
