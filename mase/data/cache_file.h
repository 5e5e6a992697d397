// A file of the data cache: texts and tensors, as they lie in memory.
//
//   8 bytes    "MASEDAT1"
//   4 bytes    size of the header, little-endian
//   4 bytes    its CRC32C
//   header     DataCacheHeader (proto/data_cache.proto)
//   tensors    each at a multiple of 64 bytes from the start of the file
//
// A cache lies where others may write, too, so a file is believed no more than any other: what is
// read is whole, of known types and shapes, and has the checksums that its header says.
#ifndef MASE_DATA_CACHE_FILE_H_
#define MASE_DATA_CACHE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/tensor/tensor.h"

namespace mase {

// What belongs together, as its maker understands it.
struct CachedData {
  std::vector<std::string> texts;
  std::vector<Tensor> tensors;
  std::vector<std::string> notes;  // For a person; LoadOrBuild passes them on, new or kept.
};

// What was written for `key`. The tensors are the mapped file itself. NotFound: the file was
// written for another key, or is not there. DataLoss, "damaged: WHAT", without the path.
absl::StatusOr<CachedData> ReadCacheFile(const std::string& path, absl::string_view key);

// Writes a whole file atomically, not synced (base/files.h): what a crash of the machine tears,
// the checksums find. Errors as WriteFileAtomically.
absl::Status WriteCacheFile(const std::string& path, absl::string_view key, const CachedData& data);

}  // namespace mase

#endif  // MASE_DATA_CACHE_FILE_H_
