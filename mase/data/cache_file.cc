#include "mase/data/cache_file.h"

#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "mase/base/crc32c.h"
#include "mase/base/files.h"
#include "mase/base/status_macros.h"
#include "mase/data/file_bytes.h"
#include "proto/data_cache.pb.h"

namespace mase {
namespace {

constexpr absl::string_view kMagic = "MASEDAT1";
constexpr size_t kPreludeBytes = 16;
constexpr size_t kAlignment = 64;  // Of each tensor, as in memory.

size_t Aligned(size_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged: ", what));
}

absl::StatusOr<Tensor> ReadBlob(const FileBytes& file, const DataCacheHeader::Blob& blob) {
  if (blob.dtype() < 0 || blob.dtype() > static_cast<int>(DType::kBFloat16)) {
    return Damaged("type");
  }
  const DType dtype = static_cast<DType>(blob.dtype());
  const Shape shape(absl::MakeConstSpan(blob.dim().data(), blob.dim_size()));
  if (!shape.Validate().ok()) return Damaged("shape");
  const size_t size = shape.elements() * ElementSize(dtype);
  const size_t end = file.bytes().size();
  const size_t offset = blob.offset();
  if (offset % kAlignment != 0 || offset > end || size > end - offset) return Damaged("size");
  const absl::string_view bytes = file.bytes().substr(offset, size);
  if (Crc32c(bytes) != blob.crc32c()) return Damaged("checksum");
  return Tensor::View(dtype, shape, bytes.data(), file.owner());
}

}  // namespace

absl::StatusOr<CachedData> ReadCacheFile(const std::string& path, absl::string_view key) {
  MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Map(path));
  const absl::string_view bytes = file.bytes();
  uint32_t header_size = 0;
  uint32_t header_crc = 0;
  if (bytes.size() < kPreludeBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return Damaged("beginning");
  }
  std::memcpy(&header_size, bytes.data() + 8, 4);
  std::memcpy(&header_crc, bytes.data() + 12, 4);
  if (header_size > bytes.size() - kPreludeBytes) return Damaged("header size");
  const absl::string_view text = bytes.substr(kPreludeBytes, header_size);
  DataCacheHeader header;
  if (Crc32c(text) != header_crc || !header.ParseFromArray(text.data(), text.size())) {
    return Damaged("header");
  }
  if (header.key() != key) return absl::NotFoundError("made from something else");
  CachedData data;
  data.texts.assign(header.text().begin(), header.text().end());
  data.notes.assign(header.note().begin(), header.note().end());
  for (const DataCacheHeader::Blob& blob : header.blob()) {
    MASE_ASSIGN_OR_RETURN(data.tensors.emplace_back(), ReadBlob(file, blob));
  }
  return data;
}

absl::Status WriteCacheFile(const std::string& path, absl::string_view key,
                            const CachedData& data) {
  DataCacheHeader header;
  header.set_key(std::string(key));
  for (const std::string& text : data.texts) header.add_text(text);
  for (const std::string& note : data.notes) header.add_note(note);
  for (const Tensor& tensor : data.tensors) {
    DataCacheHeader::Blob* blob = header.add_blob();
    blob->set_dtype(static_cast<int>(tensor.dtype()));
    for (const int64_t extent : tensor.shape().dims()) blob->add_dim(extent);
    blob->set_crc32c(Crc32c({static_cast<const char*>(tensor.raw_data()), tensor.size_bytes()}));
    blob->set_offset(INT64_MAX);  // The longest, so that the header's size is an upper bound.
  }
  size_t offset = Aligned(kPreludeBytes + header.ByteSizeLong());
  const std::string padding(kAlignment + kPreludeBytes + header.ByteSizeLong(), '\0');
  const size_t first = offset;
  for (size_t i = 0; i < data.tensors.size(); ++i) {
    header.mutable_blob(i)->set_offset(offset);
    offset = Aligned(offset + data.tensors[i].size_bytes());
  }
  const std::string text = header.SerializeAsString();
  const uint32_t words[] = {static_cast<uint32_t>(text.size()), Crc32c(text)};
  std::vector<absl::string_view> pieces = {
      kMagic, {reinterpret_cast<const char*>(words), sizeof(words)}, text};
  const auto pad_to = [&](size_t from, size_t to) {
    pieces.push_back(absl::string_view(padding).substr(0, to - from));
  };
  pad_to(kPreludeBytes + text.size(), first);
  for (const Tensor& tensor : data.tensors) {
    pieces.push_back({static_cast<const char*>(tensor.raw_data()), tensor.size_bytes()});
    pad_to(tensor.size_bytes(), Aligned(tensor.size_bytes()));
  }
  return WriteFileAtomically(path, pieces, Durability::kUnsynced);
}

}  // namespace mase
