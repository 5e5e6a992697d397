#include "mase/data/npy.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr absl::string_view kNpyMagic("\x93NUMPY", 6);
constexpr absl::string_view kZipMagic("PK\x03\x04", 4);
constexpr absl::string_view kZipEntryMagic("PK\x01\x02", 4);
constexpr absl::string_view kZipEndMagic("PK\x05\x06", 4);

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged NumPy file: ", what));
}

// The little-endian number at `at`, which must be inside.
template <typename T>
T Load(absl::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// What follows 'key': in the header's Python dictionary, without blanks before it.
absl::string_view ValueOf(absl::string_view header, absl::string_view key) {
  const size_t at = header.find(absl::StrCat("'", key, "':"));
  if (at == absl::string_view::npos) return "";
  return absl::StripLeadingAsciiWhitespace(header.substr(at + key.size() + 3));
}

absl::StatusOr<Shape> ParseShape(absl::string_view text) {
  const size_t end = text.find(')');
  if (!absl::StartsWith(text, "(") || end == absl::string_view::npos) return Damaged("shape");
  Shape shape;
  for (absl::string_view part : absl::StrSplit(text.substr(1, end - 1), ',')) {
    part = absl::StripAsciiWhitespace(part);
    int64_t extent = 0;
    if (part.empty()) continue;  // (3,) and ().
    if (!absl::SimpleAtoi(part, &extent) || extent < 0) return Damaged("shape");
    shape.push_back(extent);
  }
  MASE_RETURN_IF_ERROR(shape.Validate());
  return shape;
}

// Elements as they lie in the file, converted to the DType that holds them all.
template <typename From, typename To>
Tensor Widen(absl::string_view bytes, const Shape& shape) {
  Tensor tensor(DTypeOf<To>::value, shape);
  To* dst = tensor.mutable_data<To>().data();
  for (int64_t i = 0; i < shape.elements(); ++i) {
    dst[i] = static_cast<To>(Load<From>(bytes, i * sizeof(From)));
  }
  return tensor;
}

struct ElementType {
  absl::string_view descr;
  size_t size;
  Tensor (*read)(absl::string_view bytes, const Shape& shape);
};

constexpr ElementType kElementTypes[] = {
    {"<f4", 4, Widen<float, float>},      {"<f8", 8, Widen<double, double>},
    {"|i1", 1, Widen<int8_t, int8_t>},    {"|u1", 1, Widen<uint8_t, uint8_t>},
    {"|b1", 1, Widen<uint8_t, uint8_t>},  {"<i2", 2, Widen<int16_t, int32_t>},
    {"<u2", 2, Widen<uint16_t, int32_t>}, {"<i4", 4, Widen<int32_t, int32_t>},
    {"<u4", 4, Widen<uint32_t, int64_t>}, {"<i8", 8, Widen<int64_t, int64_t>},
};

// Unpacks one member of an archive to exactly `size` bytes.
absl::StatusOr<std::string> Inflate(absl::string_view packed, size_t size) {
  // Deflate cannot shrink beyond 1032 to 1, so a small member that declares more lies.
  if (size > packed.size() * 1100 + 1100) return Damaged("member size");
  std::string bytes(size, '\0');
  z_stream stream = {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(size);
  if (inflateInit2(&stream, -15) != Z_OK) return absl::ResourceExhaustedError("zlib: memory");
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (result != Z_STREAM_END || stream.avail_out != 0) return Damaged("member");
  return bytes;
}

// The unpacked member that the central directory's entry at `at` describes.
absl::StatusOr<std::string> ReadMember(absl::string_view archive, size_t at) {
  const uint16_t method = Load<uint16_t>(archive, at + 10);
  const uint32_t crc = Load<uint32_t>(archive, at + 16);
  const uint64_t packed_size = Load<uint32_t>(archive, at + 20);
  const uint64_t size = Load<uint32_t>(archive, at + 24);
  const uint64_t local = Load<uint32_t>(archive, at + 42);
  if (local + 30 > archive.size() || archive.substr(local, 4) != kZipMagic)
    return Damaged("member");
  const uint64_t begin =
      local + 30 + Load<uint16_t>(archive, local + 26) + Load<uint16_t>(archive, local + 28);
  if (begin + packed_size > archive.size()) return Damaged("member size");
  const absl::string_view packed = archive.substr(begin, packed_size);
  std::string bytes;
  if (method == 0 && size == packed_size) {
    bytes = std::string(packed);
  } else if (method == Z_DEFLATED) {
    MASE_ASSIGN_OR_RETURN(bytes, Inflate(packed, size));
  } else {
    return Damaged("compression method");
  }
  if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != crc) {
    return Damaged("checksum");
  }
  return bytes;
}

absl::StatusOr<size_t> FindDirectoryEnd(absl::string_view archive) {
  constexpr size_t kEndBytes = 22;  // Without the comment, of up to 64 KiB, that may follow.
  const size_t at = archive.rfind(kZipEndMagic);
  if (at == absl::string_view::npos || at + kEndBytes > archive.size()) {
    return Damaged("no directory; is it truncated?");
  }
  return at;
}

template <typename To>
absl::StatusOr<Tensor> ConvertTo(const Tensor& tensor) {
  if (tensor.dtype() == DTypeOf<To>::value) return tensor;
  Tensor converted(DTypeOf<To>::value, tensor.shape());
  const auto copy = [&](auto values) {
    std::transform(values.begin(), values.end(), converted.mutable_data<To>().begin(),
                   [](auto value) { return static_cast<To>(value); });
    return converted;
  };
  switch (tensor.dtype()) {
    case DType::kFloat32:
      return copy(tensor.data<float>());
    case DType::kFloat64:
      return copy(tensor.data<double>());
    case DType::kInt8:
      return copy(tensor.data<int8_t>());
    case DType::kUInt8:
      return copy(tensor.data<uint8_t>());
    case DType::kInt32:
      return copy(tensor.data<int32_t>());
    case DType::kInt64:
      return copy(tensor.data<int64_t>());
    default:
      return absl::UnimplementedError(DTypeName(tensor.dtype()));
  }
}

// Splits a [rows, columns] array into features and the class column.
absl::Status TakeLabelColumn(const Tensor& array, absl::string_view label, Tensor& features,
                             Tensor& labels) {
  if (array.shape().rank() != 2 || array.shape()[1] < 2) {
    return absl::InvalidArgumentError(absl::StrCat("an array of shape ", array.shape().ToString(),
                                                   ", want [rows, columns] with the class in one"));
  }
  const int64_t rows = array.shape()[0];
  const int64_t columns = array.shape()[1];
  int64_t at = columns - 1;
  if (!label.empty() && (!absl::SimpleAtoi(label, &at) || at < 0 || at >= columns)) {
    return absl::InvalidArgumentError(
        absl::StrCat("no column '", label, "': want a number from 0 to ", columns - 1));
  }
  MASE_ASSIGN_OR_RETURN(const Tensor values, ConvertTo<double>(array));
  features = Tensor(DType::kFloat64, {rows, columns - 1});
  labels = Tensor(DType::kFloat64, {rows});
  const double* src = values.data<double>().data();
  double* dst = features.mutable_data<double>().data();
  double* label_dst = labels.mutable_data<double>().data();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < columns; ++c, ++src) *(c == at ? label_dst++ : dst++) = *src;
  }
  return absl::OkStatus();
}

// Checks and converts the two arrays, and numbers the classes.
absl::StatusOr<DataTable> MakeTable(const Tensor& x, const Tensor& y) {
  const int64_t rows = y.shape().rank() == 1 ? y.shape()[0] : -1;
  if (x.shape().rank() < 2 || x.shape()[0] != rows) {
    return absl::InvalidArgumentError(absl::StrCat("features ", x.shape().ToString(),
                                                   " and labels ", y.shape().ToString(),
                                                   ", want [rows, ...] and [rows]"));
  }
  if (rows == 0 || x.elements() == 0) return absl::InvalidArgumentError("no rows");
  DataTable table;
  MASE_ASSIGN_OR_RETURN(table.features, ConvertTo<float>(x));
  const int64_t width = x.elements() / rows;
  for (const float& value : table.features.data<float>()) {
    if (std::isfinite(value)) continue;
    const int64_t at = &value - table.features.data<float>().data();
    return absl::InvalidArgumentError(
        absl::StrCat("row ", at / width, ": feature ", at % width, " is not a finite number"));
  }
  MASE_ASSIGN_OR_RETURN(const Tensor numbers, ConvertTo<double>(y));
  table.labels = Tensor(DType::kInt64, {rows});
  int64_t* label = table.labels.mutable_data<int64_t>().data();
  int64_t most = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const double number = numbers.data<double>()[row];
    if (!(number >= 0 && number < limits::kMaxClasses && number == std::floor(number))) {
      return absl::InvalidArgumentError(absl::StrCat("row ", row, ": label ", number,
                                                     " is not a whole number from 0 to ",
                                                     limits::kMaxClasses - 1));
    }
    label[row] = static_cast<int64_t>(number);
    most = std::max(most, label[row]);
  }
  for (int64_t i = 0; i <= most; ++i) table.class_texts.push_back(absl::StrCat(i));
  for (int64_t i = 0; i < width; ++i) table.feature_names.push_back(absl::StrCat(i));
  table.label_name = std::string("class");
  return table;
}

absl::StatusOr<DataTable> ParseNumpyTable(absl::string_view bytes, absl::string_view label) {
  Tensor x, y;
  if (IsNpy(bytes)) {
    MASE_ASSIGN_OR_RETURN(const Tensor array, ParseNpy(bytes));
    MASE_RETURN_IF_ERROR(TakeLabelColumn(array, label, x, y));
    return MakeTable(x, y);
  }
  MASE_ASSIGN_OR_RETURN(const auto arrays, ParseNpz(bytes));
  const auto found_x = arrays.count("x") > 0 ? arrays.find("x") : arrays.find("X");
  const auto found_y = arrays.find("y");
  if (found_x == arrays.end() || found_y == arrays.end()) {
    const auto name = [](std::string* out, const auto& entry) { out->append(entry.first); };
    return absl::InvalidArgumentError(
        absl::StrCat("want arrays 'x' and 'y'; it has: ", absl::StrJoin(arrays, ", ", name)));
  }
  return MakeTable(found_x->second, found_y->second);
}

}  // namespace

bool IsNpy(absl::string_view file_bytes) { return absl::StartsWith(file_bytes, kNpyMagic); }
bool IsNpz(absl::string_view file_bytes) { return absl::StartsWith(file_bytes, kZipMagic); }

absl::StatusOr<Tensor> ParseNpy(absl::string_view bytes) {
  if (!IsNpy(bytes) || bytes.size() < 12) return Damaged("beginning");
  const bool long_header = bytes[6] > 1;  // Versions 2 and 3 count its bytes in 32 bits.
  const size_t start = long_header ? 12 : 10;
  const size_t header_size = long_header ? Load<uint32_t>(bytes, 8) : Load<uint16_t>(bytes, 8);
  if (header_size > bytes.size() - start) return Damaged("header size");
  const absl::string_view header = bytes.substr(start, header_size);
  const absl::string_view data = bytes.substr(start + header_size);
  MASE_ASSIGN_OR_RETURN(const Shape shape, ParseShape(ValueOf(header, "shape")));
  if (!absl::StartsWith(ValueOf(header, "fortran_order"), "False") && shape.rank() > 1) {
    return absl::UnimplementedError("an array in Fortran order");
  }
  const absl::string_view descr = ValueOf(header, "descr");
  for (const ElementType& type : kElementTypes) {
    if (!absl::StartsWith(descr, absl::StrCat("'", type.descr, "'"))) continue;
    if (data.size() != shape.elements() * type.size) {
      return Damaged(
          absl::StrCat(data.size(), " bytes of data for ", shape.ToString(), " of ", type.descr));
    }
    return type.read(data, shape);
  }
  return absl::UnimplementedError(absl::StrCat("element type ", descr.substr(0, descr.find(','))));
}

absl::StatusOr<std::map<std::string, Tensor>> ParseNpz(absl::string_view bytes) {
  if (bytes.size() >= UINT32_MAX) return absl::UnimplementedError("an archive of 4 GiB or more");
  MASE_ASSIGN_OR_RETURN(const size_t end, FindDirectoryEnd(bytes));
  const int entries = Load<uint16_t>(bytes, end + 10);
  size_t at = Load<uint32_t>(bytes, end + 16);
  std::map<std::string, Tensor> arrays;
  for (int i = 0; i < entries; ++i) {
    if (at + 46 > end || bytes.substr(at, 4) != kZipEntryMagic) return Damaged("directory");
    const size_t name_size = Load<uint16_t>(bytes, at + 28);
    if (at + 46 + name_size > end) return Damaged("directory");
    absl::string_view name = bytes.substr(at + 46, name_size);
    MASE_ASSIGN_OR_RETURN(const std::string member, ReadMember(bytes, at));
    if (absl::EndsWith(name, ".npy")) name.remove_suffix(4);
    absl::StatusOr<Tensor> array = ParseNpy(member);
    if (!array.ok()) return Annotate(array.status(), name);
    arrays[std::string(name)] = *std::move(array);
    at += 46 + name_size + Load<uint16_t>(bytes, at + 30) + Load<uint16_t>(bytes, at + 32);
  }
  return arrays;
}

absl::StatusOr<DataTable> ReadNumpyTable(absl::string_view path, absl::string_view bytes,
                                         absl::string_view label) {
  absl::StatusOr<DataTable> table = ParseNumpyTable(bytes, label);
  if (!table.ok()) return Annotate(table.status(), path);
  table->class_places.assign(table->class_texts.size(), std::string(path));
  return table;
}

}  // namespace mase
