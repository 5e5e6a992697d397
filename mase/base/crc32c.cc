#include "mase/base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace mase {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 30;  // The library counts in int.

}  // namespace

uint32_t Crc32c(absl::string_view data, uint32_t before) {
  uint32_t state = ~before;
  while (!data.empty()) {
    const absl::string_view chunk = data.substr(0, kChunkBytes);
    // The library takes a mutable pointer but only reads.
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(chunk.data()));
    state = crc32_iscsi(bytes, static_cast<int>(chunk.size()), state);
    data.remove_prefix(chunk.size());
  }
  return ~state;
}

uint32_t MaskCrc32c(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

}  // namespace mase
