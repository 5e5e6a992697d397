#include "mase/interop/npy.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/interop/half.h"

namespace mase {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr size_t kDataAlignment = 64;  // Of the data in the file, as NumPy writes it.

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

// Reads the header, a Python dict with three known keys, by one pass over the text.
class HeaderReader {
 public:
  explicit HeaderReader(absl::string_view text) : rest_(text) {}

  absl::StatusOr<Header> Read() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    if (!Take("{")) return Error("no '{'");
    while (!Take("}")) {
      MASE_ASSIGN_OR_RETURN(const std::string key, ReadString());
      if (!Take(":")) return Error("no ':' after a key");
      if (key == "descr") {
        if (Take("[")) {
          return absl::UnimplementedError(
              "a structured array is not read; save its fields as the columns of one array");
        }
        MASE_ASSIGN_OR_RETURN(header.descr, ReadString());
        has_descr = true;
      } else if (key == "fortran_order") {
        header.fortran_order = Take("True");
        if (!header.fortran_order && !Take("False")) return Error("fortran_order is no bool");
        has_order = true;
      } else if (key == "shape") {
        MASE_ASSIGN_OR_RETURN(header.shape, ReadShape());
        has_shape = true;
      } else {
        return Error(absl::StrCat("unknown key '", key, "'"));
      }
      Take(",");
    }
    if (!has_descr || !has_order || !has_shape) return Error("a key is missing");
    return header;
  }

 private:
  bool Take(absl::string_view token) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    return absl::ConsumePrefix(&rest_, token);
  }

  absl::StatusOr<std::string> ReadString() {
    const absl::string_view quote = Take("'") ? "'" : Take("\"") ? "\"" : "";
    const size_t end = quote.empty() ? absl::string_view::npos : rest_.find(quote);
    if (end == absl::string_view::npos) return Error("a string is missing");
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }

  absl::StatusOr<Shape> ReadShape() {
    if (!Take("(")) return Error("shape is no tuple");
    Shape shape;
    while (!Take(")")) {
      rest_ = absl::StripLeadingAsciiWhitespace(rest_);
      const size_t end = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
      int64_t extent;
      if (!absl::SimpleAtoi(rest_.substr(0, end), &extent)) return Error("shape is no tuple");
      rest_.remove_prefix(end);
      Take(",");
      if (shape.rank() > limits::kMaxTensorRank) break;  // Validate says so.
      shape.push_back(extent);
    }
    MASE_RETURN_IF_ERROR(shape.Validate());
    return shape;
  }

  absl::Status Error(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat("damaged .npy header: ", what));
  }

  absl::string_view rest_;
};

// Splits off the header; `bytes` keeps the data.
absl::StatusOr<Header> SplitHeader(absl::string_view* bytes) {
  const auto truncated = [] { return absl::DataLossError("truncated .npy header"); };
  if (!absl::ConsumePrefix(bytes, kMagic)) return absl::DataLossError("not an .npy file");
  if (bytes->size() < 2) return truncated();
  const int major = static_cast<unsigned char>((*bytes)[0]);
  const int minor = static_cast<unsigned char>((*bytes)[1]);
  bytes->remove_prefix(2);
  if (major < 1 || major > 3 || minor != 0) {
    return absl::DataLossError(
        absl::StrCat(".npy version ", major, ".", minor, ", known are 1.0, 2.0 and 3.0"));
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes->size() < length_bytes) return truncated();
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) {
    length |= size_t{static_cast<unsigned char>((*bytes)[i])} << (8 * i);
  }
  bytes->remove_prefix(length_bytes);
  if (length > kMaxHeaderBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(".npy header of ", length, " bytes, limit ", kMaxHeaderBytes));
  }
  if (bytes->size() < length) return truncated();
  absl::StatusOr<Header> header = HeaderReader(bytes->substr(0, length)).Read();
  bytes->remove_prefix(length);
  return header;
}

// Where the elements of an array lie in its file.
class Elements {
 public:
  Elements(absl::string_view bytes, const Header& header, size_t size)
      : bytes_(bytes), shape_(header.shape), size_(size) {
    // Everything but the machine's own order, which is little-endian.
    swapped_ = header.descr[0] == '>';
    int long_axes = 0;
    for (const int64_t extent : shape_.dims()) long_axes += extent > 1 ? 1 : 0;
    transposed_ = header.fortran_order && long_axes > 1;
  }

  const Shape& shape() const { return shape_; }
  size_t size() const { return size_; }
  bool swapped() const { return swapped_; }
  bool as_in_memory() const { return !transposed_ && (!swapped_ || size_ == 1); }
  absl::string_view bytes() const { return bytes_; }

  // Calls visit(i, pointer to element i), i in C order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    const int64_t count = shape_.elements();
    if (!transposed_) {
      for (int64_t i = 0; i < count; ++i) visit(i, bytes_.data() + i * size_);
      return;
    }
    const int rank = shape_.rank();
    std::vector<int64_t> stride(rank);  // In Fortran order the first axis is dense.
    for (int64_t axis = 0, step = 1; axis < rank; step *= shape_[axis++]) stride[axis] = step;
    std::vector<int64_t> index(rank);
    for (int64_t i = 0, at = 0; i < count; ++i) {
      visit(i, bytes_.data() + at * size_);
      for (int axis = rank - 1; axis >= 0; --axis) {
        at += stride[axis];
        if (++index[axis] < shape_[axis]) break;
        at -= stride[axis] * shape_[axis];
        index[axis] = 0;
      }
    }
  }

 private:
  absl::string_view bytes_;
  Shape shape_;
  size_t size_;
  bool swapped_;
  bool transposed_;
};

// The number at `bytes`, whose bytes may be in the opposite order.
template <typename T>
T Load(const char* bytes, bool swapped) {
  char buffer[sizeof(T)];
  std::memcpy(buffer, bytes, sizeof(T));
  if (swapped) std::reverse(buffer, buffer + sizeof(T));
  T value;
  std::memcpy(&value, buffer, sizeof(T));
  return value;
}

// Elements of type From as the To that holds them all.
template <typename From, typename To>
absl::StatusOr<Tensor> Convert(const Elements& elements) {
  MASE_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(DTypeOf<To>::value, elements.shape()));
  if (tensor.elements() == 0) return tensor;
  if (std::is_same_v<From, To> && elements.as_in_memory()) {
    std::memcpy(tensor.mutable_raw_data(), elements.bytes().data(), elements.bytes().size());
    return tensor;
  }
  To* out = tensor.mutable_data<To>().data();
  elements.ForEach([&](int64_t i, const char* at) {
    out[i] = static_cast<To>(Load<From>(at, elements.swapped()));
  });
  return tensor;
}

absl::StatusOr<Tensor> ConvertHalf(const Elements& elements) {
  MASE_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(DType::kFloat32, elements.shape()));
  float* out = tensor.mutable_data<float>().data();
  elements.ForEach([&](int64_t i, const char* at) {
    out[i] = HalfToFloat(Load<uint16_t>(at, elements.swapped()));
  });
  return tensor;
}

// A bool other than 0 and 1 would be undefined behaviour to read.
absl::StatusOr<Tensor> ConvertBool(const Elements& elements) {
  MASE_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(DType::kBool, elements.shape()));
  auto* out = static_cast<unsigned char*>(tensor.mutable_raw_data());
  elements.ForEach([&](int64_t i, const char* at) { out[i] = *at != 0 ? 1 : 0; });
  return tensor;
}

absl::StatusOr<Tensor> ConvertUInt64(const Elements& elements) {
  MASE_ASSIGN_OR_RETURN(Tensor tensor, (Convert<uint64_t, int64_t>(elements)));
  const absl::Span<const int64_t> values = tensor.data<int64_t>();
  if (std::any_of(values.begin(), values.end(), [](int64_t value) { return value < 0; })) {
    return absl::UnimplementedError("a uint64 above 2^63-1");
  }
  return tensor;
}

struct ElementType {
  absl::string_view code;  // NumPy's, without the byte order.
  size_t size;
  absl::StatusOr<Tensor> (*convert)(const Elements& elements);
  std::optional<DType> written;  // The DType that is written as this.
};
constexpr ElementType kTypes[] = {
    {"f4", 4, Convert<float, float>, DType::kFloat32},
    {"f8", 8, Convert<double, double>, DType::kFloat64},
    {"i1", 1, Convert<int8_t, int8_t>, DType::kInt8},
    {"u1", 1, Convert<uint8_t, uint8_t>, DType::kUInt8},
    {"i4", 4, Convert<int32_t, int32_t>, DType::kInt32},
    {"i8", 8, Convert<int64_t, int64_t>, DType::kInt64},
    {"b1", 1, ConvertBool, DType::kBool},
    {"f2", 2, ConvertHalf, {}},
    {"i2", 2, Convert<int16_t, int32_t>, {}},
    {"u2", 2, Convert<uint16_t, int32_t>, {}},
    {"u4", 4, Convert<uint32_t, int64_t>, {}},
    {"u8", 8, ConvertUInt64, {}},
};

absl::Status Unserved(absl::string_view descr) {
  const auto show = [](std::string* out, const ElementType& type) {
    absl::StrAppend(out, type.code);
  };
  return absl::UnimplementedError(absl::StrCat("element type '", descr, "' is not read; read are ",
                                               absl::StrJoin(kTypes, ", ", show), ", S and U"));
}

absl::Status CheckSize(absl::string_view bytes, const Header& header, size_t size) {
  const size_t want = static_cast<size_t>(header.shape.elements()) * size;
  if (bytes.size() == want) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(bytes.size(), " bytes of data, but shape ",
                                          header.shape.ToString(), " of ", header.descr, " needs ",
                                          want));
}

void AppendUtf8(uint32_t code, std::string& text) {
  const auto tail = [&](int shift) {
    text.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3f)));
  };
  if (code < 0x80) {
    text.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    text.push_back(static_cast<char>(0xc0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    text.push_back(static_cast<char>(0xe0 | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    text.push_back(static_cast<char>(0xf0 | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Texts of `length` characters each: of a byte (S), or of four that are a code point (U).
absl::StatusOr<NpyTexts> ParseTexts(absl::string_view bytes, const Header& header) {
  const bool unicode = header.descr[1] == 'U';
  int64_t length = 0;
  if (!absl::SimpleAtoi(absl::string_view(header.descr).substr(2), &length) || length < 1) {
    return Unserved(header.descr);
  }
  if (length > limits::kMaxNameBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "texts of ", length, " characters, more than the limit of ", limits::kMaxNameBytes));
  }
  const size_t size = unicode ? 4 * length : length;
  MASE_RETURN_IF_ERROR(CheckSize(bytes, header, size));
  NpyTexts texts;
  texts.shape = header.shape;
  texts.values.resize(header.shape.elements());
  bool valid = true;
  const Elements elements(bytes, header, size);
  elements.ForEach([&](int64_t i, const char* at) {
    std::string& text = texts.values[i];
    if (!unicode) {
      text.assign(at, strnlen(at, size));
      return;
    }
    for (int64_t c = 0; c < length; ++c) {
      const uint32_t code = Load<uint32_t>(at + 4 * c, elements.swapped());
      if (code == 0) break;
      valid = valid && code < 0x110000 && (code < 0xd800 || code > 0xdfff);
      AppendUtf8(code, text);
    }
  });
  if (!valid) return absl::DataLossError("a text with code points that do not exist");
  return texts;
}

absl::StatusOr<std::variant<Tensor, NpyTexts>> Parse(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(const Header header, SplitHeader(&bytes));
  const absl::string_view descr = header.descr;
  if (descr.size() < 3 || !absl::StrContains("<>|=", descr[0])) return Unserved(descr);
  if (descr[1] == 'S' || descr[1] == 'U') return ParseTexts(bytes, header);
  for (const ElementType& type : kTypes) {
    if (type.code != descr.substr(1)) continue;
    MASE_RETURN_IF_ERROR(CheckSize(bytes, header, type.size));
    return type.convert(Elements(bytes, header, type.size));
  }
  return Unserved(descr);
}

}  // namespace

bool IsNpy(absl::string_view bytes) { return absl::StartsWith(bytes, kMagic); }

absl::StatusOr<std::variant<Tensor, NpyTexts>> ParseNpy(absl::string_view bytes,
                                                        absl::string_view name) {
  absl::StatusOr<std::variant<Tensor, NpyTexts>> array = Parse(bytes);
  if (!array.ok()) return Annotate(array.status(), name);
  return array;
}

absl::StatusOr<Tensor> ReadNpy(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxDataFileBytes));
  MASE_ASSIGN_OR_RETURN(auto array, ParseNpy(bytes, path));
  if (Tensor* tensor = std::get_if<Tensor>(&array)) return std::move(*tensor);
  return absl::UnimplementedError(absl::StrCat(path, ": texts, want numbers"));
}

absl::Status WriteNpy(absl::string_view path, const Tensor& tensor) {
  std::string descr;
  for (const ElementType& type : kTypes) {
    if (type.written != tensor.dtype()) continue;
    descr = absl::StrCat(type.size == 1 ? "|" : "<", type.code);
  }
  if (descr.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": .npy has no type ", DTypeName(tensor.dtype())));
  }
  // A tuple of one has a comma.
  std::string header = absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(tensor.shape().dims(), ", "),
                                    tensor.shape().rank() == 1 ? ",), }" : "), }");
  const size_t before = kMagic.size() + 4;
  header.append(kDataAlignment - 1 - (before + header.size()) % kDataAlignment, ' ');
  header.push_back('\n');
  const char prefix[] = {1, 0, static_cast<char>(header.size() & 255),
                         static_cast<char>(header.size() >> 8)};
  const absl::string_view data(static_cast<const char*>(tensor.raw_data()), tensor.size_bytes());
  return WriteNamedFile(path, {kMagic, absl::string_view(prefix, 4), header, data});
}

}  // namespace mase
