#include "mase/interop/npy.h"

#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 64 << 10;
constexpr size_t kDataAlignment = 64;  // Of the data in the file, as NumPy writes it.

struct TypeEntry {
  absl::string_view descr;
  DType dtype;
};
constexpr TypeEntry kTypes[] = {
    {"<f4", DType::kFloat32}, {"<f8", DType::kFloat64}, {"|i1", DType::kInt8},
    {"|u1", DType::kUInt8},   {"<i4", DType::kInt32},   {"<i8", DType::kInt64},
    {"|b1", DType::kBool},
};

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

absl::StatusOr<DType> FindType(absl::string_view descr) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.descr == descr || absl::StrCat("<", entry.descr.substr(1)) == descr) {
      return entry.dtype;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "element type '", descr, "' is not served; served: ",
      absl::StrJoin(kTypes, ", ",
                    [](std::string* out, const TypeEntry& e) { absl::StrAppend(out, e.descr); })));
}

// Splits off the header; `bytes` keeps the data.
absl::StatusOr<Header> SplitHeader(absl::string_view* bytes) {
  const auto truncated = [] { return absl::DataLossError("truncated .npy header"); };
  if (!absl::ConsumePrefix(bytes, kMagic)) return absl::DataLossError("not an .npy file");
  if (bytes->size() < 2) return truncated();
  const int major = static_cast<unsigned char>((*bytes)[0]);
  bytes->remove_prefix(2);
  if (major < 1 || major > 3) {
    return absl::DataLossError(absl::StrCat(".npy version ", major, ", known are 1 to 3"));
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

absl::StatusOr<Tensor> Parse(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(const Header header, SplitHeader(&bytes));
  MASE_ASSIGN_OR_RETURN(const DType dtype, FindType(header.descr));
  int long_axes = 0;
  for (int64_t extent : header.shape.dims()) long_axes += extent > 1 ? 1 : 0;
  if (header.fortran_order && long_axes > 1) {
    return absl::InvalidArgumentError(
        "array in Fortran order; save numpy.ascontiguousarray(x) instead");
  }
  const size_t want = static_cast<size_t>(header.shape.elements()) * ElementSize(dtype);
  if (bytes.size() != want) {  // Before anything of that size is allocated.
    return absl::DataLossError(absl::StrCat(bytes.size(), " bytes of data, but shape ",
                                            header.shape.ToString(), " of ", header.descr,
                                            " needs ", want));
  }
  MASE_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(dtype, header.shape));
  if (want > 0) std::memcpy(tensor.mutable_raw_data(), bytes.data(), want);
  if (dtype == DType::kBool) {
    // A bool other than 0 and 1 would be undefined behaviour to read.
    auto* values = static_cast<unsigned char*>(tensor.mutable_raw_data());
    for (size_t i = 0; i < want; ++i) values[i] = values[i] != 0 ? 1 : 0;
  }
  return tensor;
}

}  // namespace

absl::StatusOr<Tensor> ParseNpy(absl::string_view bytes, absl::string_view name) {
  absl::StatusOr<Tensor> tensor = Parse(bytes);
  if (!tensor.ok()) return Annotate(tensor.status(), name);
  return tensor;
}

absl::StatusOr<Tensor> ReadNpy(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxDataFileBytes));
  return ParseNpy(bytes, path);
}

absl::Status WriteNpy(absl::string_view path, const Tensor& tensor) {
  absl::string_view descr;
  for (const TypeEntry& entry : kTypes) {
    if (entry.dtype == tensor.dtype()) descr = entry.descr;
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
  return WriteFileAtomically(path, {kMagic, absl::string_view(prefix, 4), header, data});
}

}  // namespace mase
