#include "mase/data/hdf5.h"

#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"

namespace mase {
namespace {

// Debian's libhdf5 is not thread-safe.
ABSL_CONST_INIT absl::Mutex library_mutex(absl::kConstInit);

// An identifier of the library and how to give it back.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  bool ok() const { return id_ >= 0; }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

absl::Status Damaged(absl::string_view path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": damaged or truncated HDF5 file: ", what));
}

absl::Status Beyond(absl::string_view path, absl::string_view what, int64_t size, int64_t limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path, ": ", what, " ", size, ", more than the limit of ", limit));
}

enum class Number { kFloat32, kFloat64, kInt8, kUInt8, kInt16, kUInt16, kInt32, kUInt32, kInt64 };

struct Member {
  size_t offset;
  Number number;
};

float ToFloat(const char* at, Number number) {
  const auto load = [at]<typename T>(T value) {
    std::memcpy(&value, at, sizeof(T));
    return static_cast<float>(value);
  };
  switch (number) {
    case Number::kFloat32:
      return load(float{});
    case Number::kFloat64:
      return load(double{});
    case Number::kInt8:
      return load(int8_t{});
    case Number::kUInt8:
      return load(uint8_t{});
    case Number::kInt16:
      return load(int16_t{});
    case Number::kUInt16:
      return load(uint16_t{});
    case Number::kInt32:
      return load(int32_t{});
    case Number::kUInt32:
      return load(uint32_t{});
    case Number::kInt64:
      return load(int64_t{});
  }
  return 0;
}

absl::StatusOr<Number> NumberOf(hid_t type) {
  const std::pair<hid_t, Number> known[] = {
      {H5T_IEEE_F32LE, Number::kFloat32}, {H5T_IEEE_F64LE, Number::kFloat64},
      {H5T_STD_I8LE, Number::kInt8},      {H5T_STD_U8LE, Number::kUInt8},
      {H5T_STD_I16LE, Number::kInt16},    {H5T_STD_U16LE, Number::kUInt16},
      {H5T_STD_I32LE, Number::kInt32},    {H5T_STD_U32LE, Number::kUInt32},
      {H5T_STD_I64LE, Number::kInt64}};
  for (const auto& [id, number] : known) {
    if (H5Tequal(type, id) > 0) return number;
  }
  return absl::UnimplementedError("only little-endian floats and integers can be read");
}

// One open table: checked sizes, members by name, rows as raw bytes.
class TableReader {
 public:
  static absl::StatusOr<TableReader> Open(const std::string& path, const std::string& dataset);

  int64_t rows() const { return rows_; }
  size_t row_bytes() const { return row_bytes_; }
  // Rows to read at once: whole chunks, as a chunk is unpacked anew for each read that touches it.
  int64_t block_rows() const { return block_rows_; }

  absl::StatusOr<Member> Find(const std::string& name) const;
  absl::Status Read(int64_t begin, int64_t count, char* dst) const;

 private:
  TableReader(std::string path, Handle file, Handle dataset, Handle type)
      : path_(std::move(path)),
        file_(std::move(file)),
        dataset_(std::move(dataset)),
        type_(std::move(type)) {}

  absl::Status CheckType();
  absl::Status CheckExtent();
  absl::Status CheckStorage();

  std::string path_;
  Handle file_;
  Handle dataset_;
  Handle type_;
  int64_t rows_ = 0;
  size_t row_bytes_ = 0;
  int64_t block_rows_ = 0;
};

absl::StatusOr<TableReader> TableReader::Open(const std::string& path, const std::string& dataset) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // Errors are ours to report.
  H5PLset_loading_state(0);                     // A file must not make us load code.
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access, false, true);  // Locks fail on read-only and network folders.
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!file.ok()) return Damaged(path, "it cannot be opened");
  Handle table(H5Dopen2(file, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!table.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no data set '", dataset, "'"));
  }
  Handle type(H5Dget_type(table), H5Tclose);
  if (!type.ok()) return Damaged(path, "the element type");
  TableReader reader(path, std::move(file), std::move(table), std::move(type));
  MASE_RETURN_IF_ERROR(reader.CheckType());
  MASE_RETURN_IF_ERROR(reader.CheckExtent());
  MASE_RETURN_IF_ERROR(reader.CheckStorage());
  return reader;
}

absl::Status TableReader::CheckType() {
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

absl::Status TableReader::CheckExtent() {
  const Handle space(H5Dget_space(dataset_), H5Sclose);
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

absl::Status TableReader::CheckStorage() {
  const Handle properties(H5Dget_create_plist(dataset_), H5Pclose);
  if (!properties.ok()) return Damaged(path_, "the layout");
  const H5D_layout_t layout = H5Pget_layout(properties);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) > 0) {
    return absl::UnimplementedError(absl::StrCat(path_, ": tables that lie in other files"));
  }
  int64_t unit_rows = 1;
  if (layout == H5D_CHUNKED) {
    hsize_t chunk = 0;
    if (H5Pget_chunk(properties, 1, &chunk) != 1) return Damaged(path_, "the chunks");
    const int64_t max_rows = limits::kMaxHdf5ChunkBytes / static_cast<int64_t>(row_bytes_);
    if (chunk > static_cast<hsize_t>(max_rows))
      return Beyond(path_, "rows of a chunk", chunk, max_rows);
    unit_rows = static_cast<int64_t>(chunk);
  }
  bool packed = false;
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    unsigned flags = 0;
    size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(properties, i, &flags, &values, nullptr, 0, nullptr, nullptr);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32) {
      return absl::UnimplementedError(absl::StrCat(path_, ": compression filter ", filter));
    }
    packed |= filter == H5Z_FILTER_DEFLATE;
  }
  // Deflate cannot shrink beyond 1032 to 1, so a small file that declares a huge table lies.
  const double most = static_cast<double>(H5Dget_storage_size(dataset_)) * (packed ? 1100 : 1);
  if (static_cast<double>(rows_) * row_bytes_ > most) {
    return Damaged(path_, absl::StrCat("it declares ", rows_, " rows but does not hold them"));
  }
  constexpr int64_t kBlockBytes = 16 << 20;
  const int64_t units = kBlockBytes / (unit_rows * static_cast<int64_t>(row_bytes_));
  block_rows_ = unit_rows * std::max<int64_t>(units, 1);
  return absl::OkStatus();
}

absl::StatusOr<Member> TableReader::Find(const std::string& name) const {
  const int index = H5Tget_member_index(type_, name.c_str());
  if (index >= 0) {
    const Handle type(H5Tget_member_type(type_, index), H5Tclose);
    const absl::StatusOr<Number> number = NumberOf(type);
    if (!number.ok()) {
      return absl::UnimplementedError(
          absl::StrCat(path_, ": column '", name, "': ", number.status().message()));
    }
    return Member{H5Tget_member_offset(type_, index), *number};
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

absl::Status TableReader::Read(int64_t begin, int64_t count, char* dst) const {
  const hsize_t start = begin;
  const hsize_t extent = count;
  const Handle file_space(H5Dget_space(dataset_), H5Sclose);
  const Handle memory_space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
  if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &start, nullptr, &extent, nullptr) < 0 ||
      H5Dread(dataset_, type_, memory_space, file_space, H5P_DEFAULT, dst) < 0) {
    return Damaged(path_, absl::StrCat("rows ", begin, " to ", begin + count));
  }
  return absl::OkStatus();
}

// Numbers the distinct patterns of one-hot values, which are few.
class OneHotCodes {
 public:
  int64_t CodeOf(const std::vector<float>& pattern) {
    if (!patterns_.empty() && pattern == patterns_[last_]) return last_;
    const auto [entry, inserted] = codes_.try_emplace(pattern, patterns_.size());
    if (inserted) patterns_.push_back(pattern);
    return last_ = entry->second;
  }
  const std::vector<std::vector<float>>& patterns() const { return patterns_; }

 private:
  std::vector<std::vector<float>> patterns_;
  std::map<std::vector<float>, int64_t> codes_;
  int64_t last_ = 0;
};

absl::Status NotFinite(const std::string& path, int64_t row, const std::string& column) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": row ", row, ": column '", column, "' is not a finite number"));
}

}  // namespace

bool IsHdf5(absl::string_view file_bytes) {
  return absl::StartsWith(file_bytes, absl::string_view("\x89HDF\r\n\x1a\n", 8));
}

absl::StatusOr<DataTable> ReadHdf5Table(absl::string_view path, const Hdf5Columns& columns) {
  absl::MutexLock lock(&library_mutex);
  const std::string name(path);
  MASE_ASSIGN_OR_RETURN(const TableReader reader, TableReader::Open(name, columns.dataset));
  std::vector<Member> features;
  std::vector<Member> one_hot;
  for (const std::string& column : columns.features) {
    MASE_ASSIGN_OR_RETURN(features.emplace_back(), reader.Find(column));
  }
  for (const std::string& column : columns.one_hot) {
    MASE_ASSIGN_OR_RETURN(one_hot.emplace_back(), reader.Find(column));
  }

  DataTable table;
  table.feature_names = columns.features;
  const int64_t width = features.size();
  MASE_ASSIGN_OR_RETURN(table.features, Tensor::Create(DType::kFloat32, {reader.rows(), width}));
  MASE_ASSIGN_OR_RETURN(table.labels, Tensor::Create(DType::kInt64, {reader.rows()}));
  float* values = table.features.mutable_data<float>().data();
  int64_t* labels = table.labels.mutable_data<int64_t>().data();
  OneHotCodes codes;
  std::vector<float> pattern(one_hot.size());
  std::vector<char> block(std::min(reader.block_rows(), reader.rows()) * reader.row_bytes());
  for (int64_t begin = 0; begin < reader.rows(); begin += reader.block_rows()) {
    const int64_t count = std::min(reader.block_rows(), reader.rows() - begin);
    MASE_RETURN_IF_ERROR(reader.Read(begin, count, block.data()));
    const char* at = block.data();
    for (int64_t row = begin; row < begin + count; ++row, at += reader.row_bytes()) {
      for (int64_t i = 0; i < width; ++i) {
        *values = ToFloat(at + features[i].offset, features[i].number);
        if (!std::isfinite(*values++)) return NotFinite(name, row, columns.features[i]);
      }
      for (size_t i = 0; i < one_hot.size(); ++i) {
        pattern[i] = ToFloat(at + one_hot[i].offset, one_hot[i].number);
        if (!std::isfinite(pattern[i])) return NotFinite(name, row, columns.one_hot[i]);
      }
      const int64_t code = codes.CodeOf(pattern);
      if (code >= limits::kMaxClasses) return Beyond(path, "classes", code, limits::kMaxClasses);
      *labels++ = code;
    }
  }
  for (const std::vector<float>& known : codes.patterns()) {
    const auto largest = std::max_element(known.begin(), known.end());
    table.class_texts.push_back(columns.classes[largest - known.begin()]);
    table.class_places.push_back(name);
  }
  return table;
}

}  // namespace mase
