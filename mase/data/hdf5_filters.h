// The filters by which chunks of HDF5 files are packed, undone.
#ifndef MASE_DATA_HDF5_FILTERS_H_
#define MASE_DATA_HDF5_FILTERS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace mase {

// Deflate cannot shrink beyond 1032 to 1.
inline constexpr size_t kMaxDeflateRatio = 1100;

// Whether UndoHdf5Filter knows a filter, by its number in the file.
bool IsHdf5Filter(int32_t filter);

// How many bytes longer a chunk is behind this filter, whatever is in it: a checksum.
size_t AddedByHdf5Filter(int32_t filter);

// Replaces the bytes of a chunk by what they were before this filter, `want` bytes. DataLoss, which
// says of what: they are not what the filter makes.
absl::Status UndoHdf5Filter(int32_t filter, size_t element_bytes, size_t want, std::string& bytes);

}  // namespace mase

#endif  // MASE_DATA_HDF5_FILTERS_H_
