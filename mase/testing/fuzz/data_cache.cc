// Files of the cache of data. Checksums, which changed bytes would not get by, are put right first:
// an input is the size of the header (2 bytes), the header, and what the file holds behind it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "mase/base/crc32c.h"
#include "mase/data/cache_file.h"
#include "mase/tensor/tensor.h"
#include "mase/testing/fuzz/memory_file.h"
#include "proto/data_cache.pb.h"

namespace mase {
namespace {

std::string FileOf(absl::string_view header, absl::string_view rest) {
  const uint32_t words[] = {static_cast<uint32_t>(header.size()), Crc32c(header)};
  std::string bytes = "MASEDAT1";
  bytes.append(reinterpret_cast<const char*>(words), sizeof(words));
  bytes.append(header.data(), header.size());
  return bytes.append(rest.data(), rest.size());
}

// The bytes that a tensor of the header claims, as far as they are there.
absl::string_view Claimed(const DataCacheHeader::Blob& blob, absl::string_view file) {
  const Shape shape(absl::MakeConstSpan(blob.dim().data(), blob.dim_size()));
  if (!shape.Validate().ok() || blob.dtype() < 0 || blob.dtype() > 7) return "";
  const size_t offset = std::min<size_t>(blob.offset(), file.size());
  return file.substr(offset, shape.elements() * ElementSize(static_cast<DType>(blob.dtype())));
}

}  // namespace
}  // namespace mase

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t header_size = std::min<size_t>(data[0] | data[1] << 8, size - 2);
  const absl::string_view rest = all.substr(2 + header_size);
  std::string header(all.substr(2, header_size));
  mase::DataCacheHeader message;
  if (message.ParseFromString(header)) {
    // A checksum may change the header's length and so where the tensors are.
    for (int round = 0; round < 2; ++round) {
      const std::string file = mase::FileOf(header, rest);
      for (auto& blob : *message.mutable_blob()) {
        blob.set_crc32c(mase::Crc32c(mase::Claimed(blob, file)));
      }
      header = message.SerializeAsString();
    }
  }
  const std::string bytes = mase::FileOf(header, rest);
  const mase::MemoryFile file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  (void)mase::ReadCacheFile(file.path(), message.key());
  return 0;
}
