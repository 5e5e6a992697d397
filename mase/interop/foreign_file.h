// What a file is that is no safetensors file, for the message that refuses it.
#ifndef MASE_INTEROP_FOREIGN_FILE_H_
#define MASE_INTEROP_FOREIGN_FILE_H_

#include <string>

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

}  // namespace mase

#endif  // MASE_INTEROP_FOREIGN_FILE_H_
