// Whether a file can be written, known before there is anything to write.
#ifndef MASE_BASE_WRITABLE_H_
#define MASE_BASE_WRITABLE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace mase {

// What is known to be in the way of WriteFileAtomically: a folder of that name, a missing folder
// above it, missing permissions, as FileError (files.h) says it. For results at the end of long
// work. Writes nothing.
absl::Status CheckWritable(absl::string_view path);

// InvalidArgument, "OUTPUT: is the same file as INPUT, which is read", if that is so, also by
// links.
absl::Status CheckNotRead(absl::string_view output, absl::string_view input);

}  // namespace mase

#endif  // MASE_BASE_WRITABLE_H_
