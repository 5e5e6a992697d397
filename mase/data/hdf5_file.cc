#include "mase/data/hdf5_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"

namespace mase {
namespace {

absl::Status Damaged(absl::string_view path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": damaged or truncated HDF5 file: ", what));
}

absl::Status Beyond(absl::string_view path, absl::string_view what, int64_t size, int64_t limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path, ": ", what, " ", size, ", more than the limit of ", limit));
}

absl::StatusOr<Hdf5Number> NumberOf(hid_t type) {
  const std::pair<hid_t, Hdf5Number> known[] = {
      {H5T_IEEE_F32LE, Hdf5Number::kFloat32}, {H5T_IEEE_F64LE, Hdf5Number::kFloat64},
      {H5T_STD_I8LE, Hdf5Number::kInt8},      {H5T_STD_U8LE, Hdf5Number::kUInt8},
      {H5T_STD_I16LE, Hdf5Number::kInt16},    {H5T_STD_U16LE, Hdf5Number::kUInt16},
      {H5T_STD_I32LE, Hdf5Number::kInt32},    {H5T_STD_U32LE, Hdf5Number::kUInt32},
      {H5T_STD_I64LE, Hdf5Number::kInt64}};
  for (const auto& [id, number] : known) {
    if (H5Tequal(type, id) > 0) return number;
  }
  return absl::UnimplementedError("only little-endian floats and integers can be read");
}

// Undoes HDF5's shuffle, which puts first bytes of all elements first, then second bytes, ...
std::string Unshuffle(const std::string& shuffled, size_t element_bytes) {
  const size_t elements = shuffled.size() / element_bytes;
  std::string bytes = shuffled;
  for (size_t b = 0; b < element_bytes; ++b) {
    const char* src = shuffled.data() + b * elements;
    for (size_t i = 0; i < elements; ++i) bytes[i * element_bytes + b] = src[i];
  }
  return bytes;
}

}  // namespace

float Hdf5Member::Load(const char* row) const {
  const auto load = [this, row]<typename T>(T value) {
    std::memcpy(&value, row + offset, sizeof(T));
    return static_cast<float>(value);
  };
  switch (number) {
    case Hdf5Number::kFloat32:
      return load(float{});
    case Hdf5Number::kFloat64:
      return load(double{});
    case Hdf5Number::kInt8:
      return load(int8_t{});
    case Hdf5Number::kUInt8:
      return load(uint8_t{});
    case Hdf5Number::kInt16:
      return load(int16_t{});
    case Hdf5Number::kUInt16:
      return load(uint16_t{});
    case Hdf5Number::kInt32:
      return load(int32_t{});
    case Hdf5Number::kUInt32:
      return load(uint32_t{});
    case Hdf5Number::kInt64:
      return load(int64_t{});
  }
  return 0;
}

absl::StatusOr<Hdf5TableFile> Hdf5TableFile::Open(const std::string& path,
                                                  const std::string& dataset) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // Errors are ours to report.
  H5PLset_loading_state(0);                     // A file must not make us load code.
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access, false, true);  // Locks fail on read-only and network folders.
  Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!file.ok()) return Damaged(path, "it cannot be opened");
  Hdf5Handle table(H5Dopen2(file, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!table.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no data set '", dataset, "'"));
  }
  Hdf5Handle type(H5Dget_type(table), H5Tclose);
  if (!type.ok()) return Damaged(path, "the element type");
  Hdf5TableFile reader(path, std::move(file), std::move(table), std::move(type));
  MASE_RETURN_IF_ERROR(reader.CheckType());
  MASE_RETURN_IF_ERROR(reader.CheckExtent());
  MASE_RETURN_IF_ERROR(reader.CheckStorage());
  return reader;
}

absl::Status Hdf5TableFile::CheckType() {
  if (H5Tget_class(type_) != H5T_COMPOUND) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": not a table: its elements have no named members"));
  }
  // Variable-length members would be read as pointers.
  if (H5Tdetect_class(type_, H5T_VLEN) != 0 || H5Tdetect_class(type_, H5T_STRING) != 0 ||
      H5Tdetect_class(type_, H5T_REFERENCE) != 0) {
    return absl::UnimplementedError(absl::StrCat(path_, ": tables with texts or references"));
  }
  row_bytes_ = H5Tget_size(type_);
  constexpr int64_t kMaxRowBytes = limits::kMaxDataColumns * 8;
  if (static_cast<int64_t>(row_bytes_) > kMaxRowBytes) {
    return Beyond(path_, "bytes of a row", row_bytes_, kMaxRowBytes);
  }
  return row_bytes_ > 0 ? absl::OkStatus() : Damaged(path_, "the element type");
}

absl::Status Hdf5TableFile::CheckExtent() {
  const Hdf5Handle space(H5Dget_space(dataset_), H5Sclose);
  if (!space.ok()) return Damaged(path_, "the extent");
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank != 1) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": a table of rank ", rank, ", want 1"));
  }
  hsize_t rows = 0;
  if (H5Sget_simple_extent_dims(space, &rows, nullptr) < 0) return Damaged(path_, "the extent");
  if (rows > static_cast<hsize_t>(limits::kMaxDataRows)) {
    return Beyond(path_, "rows", static_cast<int64_t>(std::min<hsize_t>(rows, INT64_MAX)),
                  limits::kMaxDataRows);
  }
  if (rows == 0) return absl::InvalidArgumentError(absl::StrCat(path_, ": no rows"));
  rows_ = static_cast<int64_t>(rows);
  return absl::OkStatus();
}

absl::Status Hdf5TableFile::CheckStorage() {
  const Hdf5Handle properties(H5Dget_create_plist(dataset_), H5Pclose);
  if (!properties.ok()) return Damaged(path_, "the layout");
  const H5D_layout_t layout = H5Pget_layout(properties);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) > 0) {
    return absl::UnimplementedError(absl::StrCat(path_, ": tables that lie in other files"));
  }
  constexpr int64_t kBlockBytes = 16 << 20;
  block_rows_ = std::max<int64_t>(1, kBlockBytes / static_cast<int64_t>(row_bytes_));
  chunked_ = layout == H5D_CHUNKED;
  if (chunked_) {
    hsize_t chunk = 0;
    if (H5Pget_chunk(properties, 1, &chunk) != 1 || chunk == 0) return Damaged(path_, "the chunks");
    const int64_t max_rows = limits::kMaxHdf5ChunkBytes / static_cast<int64_t>(row_bytes_);
    if (chunk > static_cast<hsize_t>(max_rows)) {
      return Beyond(path_, "rows of a chunk", chunk, max_rows);
    }
    block_rows_ = static_cast<int64_t>(chunk);
  }
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    unsigned flags = 0;
    size_t values = 0;
    filters_.push_back(
        H5Pget_filter2(properties, i, &flags, &values, nullptr, 0, nullptr, nullptr));
    if (filters_.back() != H5Z_FILTER_DEFLATE && filters_.back() != H5Z_FILTER_SHUFFLE) {
      return absl::UnimplementedError(absl::StrCat(path_, ": HDF5 filter ", filters_.back()));
    }
  }
  // Deflate cannot shrink beyond 1032 to 1, so a small file that declares a huge table lies.
  const double most =
      static_cast<double>(H5Dget_storage_size(dataset_)) * (filters_.empty() ? 1 : 1100);
  if (static_cast<double>(rows_) * row_bytes_ > most) {
    return Damaged(path_, absl::StrCat("it declares ", rows_, " rows but does not hold them"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Hdf5Member> Hdf5TableFile::Find(const std::string& name) const {
  const int index = H5Tget_member_index(type_, name.c_str());
  if (index >= 0) {
    const Hdf5Handle type(H5Tget_member_type(type_, index), H5Tclose);
    const absl::StatusOr<Hdf5Number> number = NumberOf(type);
    if (!number.ok()) {
      return absl::UnimplementedError(
          absl::StrCat(path_, ": column '", name, "': ", number.status().message()));
    }
    const Hdf5Member member = {H5Tget_member_offset(type_, index), *number};
    if (member.offset + H5Tget_size(type) > row_bytes_) return Damaged(path_, "a column's place");
    return member;
  }
  std::vector<std::string> names;
  for (int i = 0; i < H5Tget_nmembers(type_); ++i) {
    char* member = H5Tget_member_name(type_, i);
    if (member != nullptr) names.emplace_back(member);
    H5free_memory(member);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": no column '", name, "'", Suggest(name, names)));
}

absl::StatusOr<Hdf5TableFile::Block> Hdf5TableFile::Read(int64_t block) const {
  if (chunked_) return ReadChunk(block);
  const hsize_t start = block * block_rows_;
  const hsize_t count = std::min<int64_t>(block_rows_, rows_ - block * block_rows_);
  Block read;
  read.bytes.resize(count * row_bytes_);
  const Hdf5Handle file_space(H5Dget_space(dataset_), H5Sclose);
  const Hdf5Handle memory_space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &start, nullptr, &count, nullptr) < 0 ||
      H5Dread(dataset_, type_, memory_space, file_space, H5P_DEFAULT, read.bytes.data()) < 0) {
    return Damaged(path_, absl::StrCat("rows from ", start));
  }
  return read;
}

absl::StatusOr<Hdf5TableFile::Block> Hdf5TableFile::ReadChunk(int64_t block) const {
  const hsize_t start = block * block_rows_;
  hsize_t size = 0;
  Block read;
  if (H5Dget_chunk_storage_size(dataset_, &start, &size) < 0 || size == 0 ||
      size > static_cast<hsize_t>(limits::kMaxHdf5ChunkBytes)) {
    return Damaged(path_, absl::StrCat("the chunk of rows from ", start));
  }
  read.bytes.resize(size);
  if (H5Dread_chunk(dataset_, H5P_DEFAULT, &start, &read.skipped_filters, read.bytes.data()) < 0) {
    return Damaged(path_, absl::StrCat("the chunk of rows from ", start));
  }
  return read;
}

absl::StatusOr<std::string> Hdf5TableFile::Unpack(Block block) const {
  const size_t want = block_rows_ * row_bytes_;
  for (size_t i = filters_.size(); i-- > 0;) {
    if (block.skipped_filters >> i & 1) continue;
    if (filters_[i] == H5Z_FILTER_SHUFFLE) {
      block.bytes = Unshuffle(block.bytes, row_bytes_);
      continue;
    }
    std::string unpacked(want, '\0');
    uLongf size = want;
    const int result =
        uncompress(reinterpret_cast<Bytef*>(unpacked.data()), &size,
                   reinterpret_cast<const Bytef*>(block.bytes.data()), block.bytes.size());
    if (result != Z_OK || size != want) return Damaged(path_, "a compressed chunk");
    block.bytes = std::move(unpacked);
  }
  if (chunked_ && block.bytes.size() != want) return Damaged(path_, "a chunk's size");
  return std::move(block.bytes);
}

}  // namespace mase
