// CRC32C (Castagnoli), as checkpoints and TensorBoard's event files use it.
#ifndef MASE_BASE_CRC32C_H_
#define MASE_BASE_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace mase {

// The checksum of `data`; of several pieces when the checksum of the pieces
// before is given: Crc32c(b, Crc32c(a)) == Crc32c(a + b).
uint32_t Crc32c(absl::string_view data, uint32_t before = 0);

// `crc` rotated and offset, as TFRecord files store it, so that a checksum over
// data that holds checksums stays strong.
uint32_t MaskCrc32c(uint32_t crc);

}  // namespace mase

#endif  // MASE_BASE_CRC32C_H_
