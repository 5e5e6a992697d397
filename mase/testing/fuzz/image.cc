// Pictures: PNG and JPEG. Checksums of a PNG's chunks, which changed bytes would not get by, are
// put right first.
#include <cstddef>
#include <cstdint>
#include <string>

#include "mase/interop/image_file.h"
#include "zlib.h"

namespace {

uint32_t WordAt(const char* bytes) {  // Big-endian.
  uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word = word << 8 | static_cast<uint8_t>(bytes[i]);
  return word;
}

void PutWord(uint32_t word, char* bytes) {
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(word >> (24 - 8 * i));
}

// A chunk: 4 bytes of size, 4 of kind, its data, and the checksum of kind and data.
void PutChecksumsRight(std::string& png) {
  constexpr size_t kSignature = 8, kAround = 12;
  for (size_t at = kSignature; at + kAround <= png.size();) {
    const size_t size = WordAt(png.data() + at);
    if (size > png.size() - at - kAround) return;
    const auto* kind = reinterpret_cast<const Bytef*>(png.data() + at + 4);
    PutWord(::crc32(0, kind, static_cast<uInt>(4 + size)), png.data() + at + 8 + size);
    at += kAround + size;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > 0 && data[0] == 0x89) PutChecksumsRight(bytes);
  (void)mase::ParseImage(bytes);
  return 0;
}
