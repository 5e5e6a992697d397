// Unpacking of what gzip and zip compressed, under a budget: a file of two megabytes can hold two
// gigabytes of zeros.
#ifndef MASE_INTEROP_INFLATE_H_
#define MASE_INTEROP_INFLATE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

enum class Packing {
  kGzip,     // One or more members of a .gz file, which become one text.
  kDeflate,  // A bare stream, as members of a zip archive are.
};

// The unpacked bytes; memory of at most twice their number is used.
//
// DataLoss: damaged or truncated data. ResourceExhausted, without memory being taken for it: more
// than `max_bytes`, or more than limits::kUnpackedBytesFree and limits::kMaxUnpackRatio times the
// packed bytes.
absl::StatusOr<std::string> Inflate(absl::string_view packed, Packing packing, int64_t max_bytes);

}  // namespace mase

#endif  // MASE_INTEROP_INFLATE_H_
