#include "mase/data/hdf5_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
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

constexpr size_t kMaxListed = 1000;  // Of the data sets of a file.

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

absl::StatusOr<Hdf5Handle> OpenHdf5(const std::string& path) {
  MASE_RETURN_IF_ERROR(InputFile::Open(path).status());  // The library would wait for a pipe.
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);           // Errors are ours to report.
  H5PLset_loading_state(0);                              // A file must not make us load code.
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access, false, true);  // Locks fail on read-only and network folders.
  Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!file.ok()) return Damaged(path, "it cannot be opened");
  return file;
}

absl::StatusOr<std::vector<std::string>> Hdf5TableFile::List(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
  std::vector<std::string> names;
  const H5O_iterate_t visit = [](hid_t, const char* name, const H5O_info_t* info,
                                 void* data) noexcept -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(data);
    if (info->type == H5O_TYPE_DATASET) list.emplace_back(name);
    return list.size() < kMaxListed ? 0 : 1;
  };
  if (H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &names, H5O_INFO_BASIC) < 0) {
    return Damaged(path, "its groups");
  }
  return names;
}

absl::StatusOr<Hdf5TableFile> Hdf5TableFile::Open(const std::string& path,
                                                  const std::string& dataset) {
  MASE_ASSIGN_OR_RETURN(Hdf5Handle file, OpenHdf5(path));
  // A file must not lead to others, which might be anything that the user can read.
  bool leads_out = false;
  const H5L_elink_traverse_t refuse = [](const char*, const char*, const char*, const char*,
                                         unsigned*, hid_t, void* met) noexcept -> herr_t {
    *static_cast<bool*>(met) = true;
    return -1;
  };
  const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  if (!access.ok() || H5Pset_elink_cb(access, refuse, &leads_out) < 0) {
    return absl::InternalError("HDF5: no properties for opening a data set");
  }
  Hdf5Handle table(H5Dopen2(file, dataset.c_str(), access), H5Dclose);
  if (leads_out) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": data set ", Quoted(dataset), " is a link to another file"));
  }
  if (!table.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no data set ", Quoted(dataset)));
  }
  Hdf5Handle type(H5Dget_type(table), H5Tclose);
  if (!type.ok()) return Damaged(path, "the element type");
  Hdf5TableFile reader(absl::StrCat(path, ": data set '", dataset, "'"), std::move(file),
                       std::move(table), std::move(type));
  MASE_RETURN_IF_ERROR(reader.CheckType());
  MASE_RETURN_IF_ERROR(reader.CheckExtent());
  MASE_RETURN_IF_ERROR(reader.CheckStorage());
  return reader;
}

absl::Status Hdf5TableFile::CheckType() {
  // What any length lies elsewhere and would be read as pointers.
  if (H5Tdetect_class(type_, H5T_VLEN) != 0 || H5Tdetect_class(type_, H5T_REFERENCE) != 0 ||
      HasVariableText(type_)) {
    return absl::UnimplementedError(
        absl::StrCat(path_,
                     ": texts of any length, lists or references; store texts of fixed "
                     "length (h5py: dtype='S20') or numbers"));
  }
  element_bytes_ = H5Tget_size(type_);
  constexpr int64_t kMaxElementBytes = limits::kMaxDataColumns * 8;
  if (static_cast<int64_t>(element_bytes_) > kMaxElementBytes) {
    return Beyond(path_, "bytes of a row", element_bytes_, kMaxElementBytes);
  }
  return element_bytes_ > 0 ? absl::OkStatus() : Damaged(path_, "the element type");
}

absl::Status Hdf5TableFile::CheckExtent() {
  const Hdf5Handle space(H5Dget_space(dataset_), H5Sclose);
  if (!space.ok()) return Damaged(path_, "the extent");
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 1 || rank > limits::kMaxTensorRank) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": a data set of ", rank, " axes, want 1 to ", limits::kMaxTensorRank));
  }
  dims_.resize(rank);
  if (H5Sget_simple_extent_dims(space, dims_.data(), nullptr) < 0) {
    return Damaged(path_, "the extent");
  }
  if (dims_[0] > static_cast<hsize_t>(limits::kMaxDataRows)) {
    return Beyond(path_, "rows", static_cast<int64_t>(std::min<hsize_t>(dims_[0], INT64_MAX)),
                  limits::kMaxDataRows);
  }
  hsize_t width = 1;  // Elements of a row.
  for (size_t axis = 1; axis < dims_.size(); ++axis) {
    if (dims_[axis] > static_cast<hsize_t>(limits::kMaxTensorElements) ||
        (width *= dims_[axis]) > static_cast<hsize_t>(limits::kMaxTensorElements)) {
      return Beyond(path_, "elements of a row, at least", dims_[axis], limits::kMaxTensorElements);
    }
  }
  if (dims_[0] == 0 || width == 0) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": no rows"));
  }
  rows_ = static_cast<int64_t>(dims_[0]);
  row_bytes_ = element_bytes_ * width;
  return absl::OkStatus();
}

absl::Status Hdf5TableFile::CheckStorage() {
  const Hdf5Handle properties(H5Dget_create_plist(dataset_), H5Pclose);
  if (!properties.ok()) return Damaged(path_, "the layout");
  const H5D_layout_t layout = H5Pget_layout(properties);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) > 0) {
    return absl::UnimplementedError(absl::StrCat(path_, ": data that lie in other files"));
  }
  constexpr int64_t kBlockBytes = 16 << 20;
  block_rows_ = std::max<int64_t>(1, kBlockBytes / static_cast<int64_t>(row_bytes_));
  if (layout == H5D_CHUNKED) {
    const int rank = static_cast<int>(dims_.size());
    chunk_.resize(rank);
    if (H5Pget_chunk(properties, rank, chunk_.data()) != rank) return Damaged(path_, "the chunks");
    hsize_t most = limits::kMaxHdf5ChunkBytes / element_bytes_;
    for (const hsize_t extent : chunk_) {
      if (extent == 0) return Damaged(path_, "the chunks");
      if (extent > most) return Beyond(path_, "elements along a chunk", extent, most);
      most /= extent;
    }
    block_rows_ = static_cast<int64_t>(chunk_[0]);
  }
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    unsigned flags = 0;
    size_t values = 0;
    char name[32] = "";
    const H5Z_filter_t filter =
        H5Pget_filter2(properties, i, &flags, &values, nullptr, sizeof(name) - 1, name, nullptr);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32) {
      return absl::UnimplementedError(absl::StrCat(path_, ": HDF5 filter ", filter, " (", name,
                                                   "); read are gzip, shuffle and fletcher32"));
    }
    filters_.push_back(filter);
  }
  // Deflate cannot shrink beyond 1032 to 1, so a small file that declares a huge table lies.
  const double most =
      static_cast<double>(H5Dget_storage_size(dataset_)) * (filters_.empty() ? 1 : 1100);
  const double bytes = static_cast<double>(rows_) * row_bytes_;
  if (bytes > most) {
    return Damaged(path_, absl::StrCat("it declares ", rows_, " rows but does not hold them"));
  }
  if (bytes > limits::kMaxUnpackedBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(path_, ": ", rows_, " rows of ", row_bytes_,
                                                     " bytes are more than the ",
                                                     limits::kMaxUnpackedBytes, " bytes allowed"));
  }
  return absl::OkStatus();
}

std::vector<std::string> Hdf5TableFile::MemberNames() const {
  std::vector<std::string> names;
  for (int i = 0; i < H5Tget_nmembers(type_); ++i) {
    char* member = H5Tget_member_name(type_, i);
    if (member != nullptr) names.emplace_back(member);
    H5free_memory(member);
  }
  return names;
}

absl::StatusOr<Hdf5Member> Hdf5TableFile::Element() const {
  absl::StatusOr<Hdf5Member> element = Hdf5Member::Of(type_);
  if (!element.ok()) return Annotate(element.status(), path_);
  return element;
}

absl::StatusOr<Hdf5Member> Hdf5TableFile::Find(const std::string& name) const {
  const int index = H5Tget_member_index(type_, name.c_str());
  if (index >= 0) {
    const Hdf5Handle type(H5Tget_member_type(type_, index), H5Tclose);
    absl::StatusOr<Hdf5Member> member = Hdf5Member::Of(type);
    if (!member.ok()) {
      return Annotate(member.status(), absl::StrCat(path_, ": column '", name, "'"));
    }
    member->offset = H5Tget_member_offset(type_, index);
    if (member->offset + H5Tget_size(type) > row_bytes_) return Damaged(path_, "a column's place");
    return member;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": no column '", name, "'", Suggest(name, MemberNames())));
}

absl::StatusOr<Hdf5TableFile::Block> Hdf5TableFile::Read(int64_t block) const {
  if (!chunk_.empty()) return ReadChunk({static_cast<hsize_t>(block * block_rows_)});
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

absl::StatusOr<Hdf5TableFile::Block> Hdf5TableFile::ReadChunk(
    const std::vector<hsize_t>& offset) const {
  hsize_t size = 0;
  Block read;
  if (H5Dget_chunk_storage_size(dataset_, offset.data(), &size) < 0 || size == 0 ||
      size > static_cast<hsize_t>(limits::kMaxHdf5ChunkBytes)) {
    return Damaged(path_, absl::StrCat("the chunk of rows from ", offset[0]));
  }
  read.bytes.resize(size);
  if (H5Dread_chunk(dataset_, H5P_DEFAULT, offset.data(), &read.skipped_filters,
                    read.bytes.data()) < 0) {
    return Damaged(path_, absl::StrCat("the chunk of rows from ", offset[0]));
  }
  return read;
}

void Hdf5TableFile::CopyChunk(const std::string& chunk, const std::vector<hsize_t>& offset,
                              std::string& all) const {
  const size_t last = dims_.size() - 1;
  const size_t run = std::min(chunk_[last], dims_[last] - offset[last]) * element_bytes_;
  // Steps through the chunk's runs along the last axis; those beyond the extent are padding.
  std::vector<hsize_t> index(last);
  for (size_t from = 0; from < chunk.size(); from += chunk_[last] * element_bytes_) {
    size_t to = 0;
    bool inside = true;
    for (size_t axis = 0; axis < last; ++axis) {
      const hsize_t at = offset[axis] + index[axis];
      inside = inside && at < dims_[axis];
      to = (to + at) * dims_[axis + 1];
    }
    if (inside) {
      std::memcpy(all.data() + (to + offset[last]) * element_bytes_, chunk.data() + from, run);
    }
    for (size_t axis = last; axis-- > 0 && ++index[axis] == chunk_[axis];) index[axis] = 0;
  }
}

absl::StatusOr<std::string> Hdf5TableFile::ReadAll() const {
  std::string all(rows_ * row_bytes_, '\0');
  if (chunk_.empty()) {
    if (H5Dread(dataset_, type_, H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data()) < 0) {
      return Damaged(path_, "the elements");
    }
    return all;
  }
  std::vector<hsize_t> offset(dims_.size());
  while (offset[0] < dims_[0]) {
    MASE_ASSIGN_OR_RETURN(Block block, ReadChunk(offset));
    MASE_ASSIGN_OR_RETURN(const std::string chunk, Unpack(std::move(block)));
    CopyChunk(chunk, offset, all);
    for (size_t axis = dims_.size(); axis-- > 0;) {
      offset[axis] += chunk_[axis];
      if (offset[axis] < dims_[axis] || axis == 0) break;
      offset[axis] = 0;
    }
  }
  return all;
}

absl::StatusOr<std::string> Hdf5TableFile::Unpack(Block block) const {
  size_t want = element_bytes_;
  for (const hsize_t extent : chunk_) want *= extent;
  for (size_t i = filters_.size(); i-- > 0;) {
    if (block.skipped_filters >> i & 1) continue;
    if (filters_[i] == H5Z_FILTER_SHUFFLE) {
      block.bytes = Unshuffle(block.bytes, element_bytes_);
      continue;
    }
    if (filters_[i] == H5Z_FILTER_FLETCHER32) {
      uint32_t sum = 0;
      if (block.bytes.size() < sizeof(sum)) return Damaged(path_, "a chunk's checksum");
      const size_t size = block.bytes.size() - sizeof(sum);
      std::memcpy(&sum, block.bytes.data() + size, sizeof(sum));
      block.bytes.resize(size);
      const uint32_t right = Fletcher32(block.bytes);
      if (Residue(sum) != right && Residue(ExchangeBytes(sum)) != right) {
        return Damaged(path_, "a chunk's checksum");
      }
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
  if (!chunk_.empty() && block.bytes.size() != want) return Damaged(path_, "a chunk's size");
  return std::move(block.bytes);
}

}  // namespace mase
