#include "mase/data/hdf5_filters.h"

#include <zlib.h>

#include <cstring>
#include <utility>

#include "absl/strings/string_view.h"

namespace mase {
namespace {

// As they are numbered in the file format.
enum : int32_t { kDeflate = 1, kShuffle = 2, kFletcher32 = 3 };

// HDF5's checksum of a chunk: sums of big-endian pairs of bytes.
uint32_t Fletcher32(absl::string_view bytes) {
  uint64_t sum1 = 0;
  uint64_t sum2 = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t high = static_cast<unsigned char>(bytes[i]);
    const uint32_t low = i + 1 < bytes.size() ? static_cast<unsigned char>(bytes[i + 1]) : 0;
    sum1 = (sum1 + (high << 8 | low)) % 0xffff;
    sum2 = (sum2 + sum1) % 0xffff;
  }
  return static_cast<uint32_t>(sum2 << 16 | sum1);
}

// The halves of a Fletcher-32 sum, of which 0 and 0xffff are the same number.
uint32_t Residue(uint32_t sum) { return (sum >> 16) % 0xffff << 16 | (sum & 0xffff) % 0xffff; }

// Versions of HDF5 before 1.6.3 wrote both halves with their bytes exchanged.
uint32_t ExchangeBytes(uint32_t sum) { return (sum & 0x00ff00ff) << 8 | (sum & 0xff00ff00) >> 8; }

absl::Status CheckSum(std::string& bytes) {
  const absl::Status wrong = absl::DataLossError("a chunk's checksum");
  uint32_t sum = 0;
  if (bytes.size() < sizeof(sum)) return wrong;
  const size_t size = bytes.size() - sizeof(sum);
  std::memcpy(&sum, bytes.data() + size, sizeof(sum));
  bytes.resize(size);
  const uint32_t right = Fletcher32(bytes);
  const bool same = Residue(sum) == right || Residue(ExchangeBytes(sum)) == right;
  return same ? absl::OkStatus() : wrong;
}

// Undoes HDF5's shuffle, which puts first bytes of all elements first, then second bytes, ...
void Unshuffle(size_t element_bytes, std::string& bytes) {
  const std::string shuffled = bytes;
  const size_t elements = shuffled.size() / element_bytes;
  for (size_t b = 0; b < element_bytes; ++b) {
    const char* src = shuffled.data() + b * elements;
    for (size_t i = 0; i < elements; ++i) bytes[i * element_bytes + b] = src[i];
  }
}

absl::Status Inflate(size_t want, std::string& bytes) {
  const absl::Status wrong = absl::DataLossError("a compressed chunk");
  if (want / kMaxDeflateRatio > bytes.size()) return wrong;
  std::string unpacked(want, '\0');
  uLongf size = want;
  const int result = uncompress(reinterpret_cast<Bytef*>(unpacked.data()), &size,
                                reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (result != Z_OK || size != want) return wrong;
  bytes = std::move(unpacked);
  return absl::OkStatus();
}

}  // namespace

bool IsHdf5Filter(int32_t filter) { return filter >= kDeflate && filter <= kFletcher32; }

size_t AddedByHdf5Filter(int32_t filter) { return filter == kFletcher32 ? sizeof(uint32_t) : 0; }

absl::Status UndoHdf5Filter(int32_t filter, size_t element_bytes, size_t want, std::string& bytes) {
  switch (filter) {
    case kDeflate:
      return Inflate(want, bytes);
    case kShuffle:
      Unshuffle(element_bytes, bytes);
      return absl::OkStatus();
    case kFletcher32:
      return CheckSum(bytes);
    default:
      return absl::DataLossError("a filter");
  }
}

}  // namespace mase
