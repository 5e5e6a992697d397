#include "mase/onnx/onnx_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/interop/half.h"
#include "mase/tensor/convert.h"

namespace mase {
namespace {

using ::onnx::TensorProto;

constexpr int64_t kLeastOpset = 7, kMostOpset = 21;

// An element type: bits of an element in raw_data, and what it is.
struct ElementType {
  int type;
  absl::string_view name;
  int bits;
  bool is_float;
};
// Younger than Debian's libonnx.
constexpr int kFloat8E4M3 = 17, kFloat8E5M2 = 19;
constexpr ElementType kTypes[] = {
    {TensorProto::FLOAT, "float32", 32, true},
    {TensorProto::DOUBLE, "float64", 64, true},
    {TensorProto::FLOAT16, "float16", 16, true},
    {TensorProto::BFLOAT16, "bfloat16", 16, true},
    {TensorProto::UINT8, "uint8", 8, false},
    {TensorProto::INT8, "int8", 8, false},
    {TensorProto::UINT16, "uint16", 16, false},
    {TensorProto::INT16, "int16", 16, false},
    {TensorProto::INT32, "int32", 32, false},
    {TensorProto::INT64, "int64", 64, false},
    {TensorProto::UINT32, "uint32", 32, false},
    {TensorProto::UINT64, "uint64", 64, false},
    {TensorProto::BOOL, "bool", 8, false},
    {kOnnxUInt4, "uint4", 4, false},
    {kOnnxInt4, "int4", 4, false},
    // Their codes, which DequantizeLinear makes numbers of.
    {kFloat8E4M3, "float8e4m3fn", 8, false},
    {kFloat8E5M2, "float8e5m2", 8, false},
};
// Types that are named but not read.
constexpr std::pair<int, absl::string_view> kOtherTypes[] = {
    {TensorProto::STRING, "string"},
    {TensorProto::COMPLEX64, "complex64"},
    {TensorProto::COMPLEX128, "complex128"},
    {18, "float8e4m3fnuz"},
    {20, "float8e5m2fnuz"},
    {23, "float4e2m1"},
};

const ElementType* FindType(int type) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [type](const ElementType& entry) { return entry.type == type; });
  return found == std::end(kTypes) ? nullptr : found;
}

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Element i of little-endian bytes.
template <typename T>
T At(absl::string_view bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

float FloatAt(absl::string_view bytes, int type, int64_t i) {
  switch (type) {
    case TensorProto::DOUBLE:
      return static_cast<float>(At<double>(bytes, i));
    case TensorProto::FLOAT16:
      return HalfToFloat(At<uint16_t>(bytes, i));
    case TensorProto::BFLOAT16:
      return absl::bit_cast<float>(static_cast<uint32_t>(At<uint16_t>(bytes, i)) << 16);
    default:
      return At<float>(bytes, i);
  }
}

int64_t IntAt(absl::string_view bytes, int type, int64_t i) {
  switch (type) {
    case TensorProto::UINT8:
    case kFloat8E4M3:
    case kFloat8E5M2:
      return At<uint8_t>(bytes, i);
    case TensorProto::INT8:
      return At<int8_t>(bytes, i);
    case TensorProto::UINT16:
      return At<uint16_t>(bytes, i);
    case TensorProto::INT16:
      return At<int16_t>(bytes, i);
    case TensorProto::INT32:
      return At<int32_t>(bytes, i);
    case TensorProto::UINT32:
      return At<uint32_t>(bytes, i);
    case TensorProto::BOOL:
      return At<uint8_t>(bytes, i) != 0;
    case kOnnxUInt4:
    case kOnnxInt4: {
      const int nibble = (At<uint8_t>(bytes, i / 2) >> (i % 2 * 4)) & 15;
      return type == kOnnxInt4 && nibble > 7 ? nibble - 16 : nibble;
    }
    default:  // int64, uint64.
      return At<int64_t>(bytes, i);
  }
}

// Number i where the tensor has its numbers in typed fields.
struct Fields {
  const TensorProto& tensor;
  int64_t size() const {
    switch (tensor.data_type()) {
      case TensorProto::FLOAT:
        return tensor.float_data_size();
      case TensorProto::DOUBLE:
        return tensor.double_data_size();
      case TensorProto::INT64:
        return tensor.int64_data_size();
      case TensorProto::UINT32:
      case TensorProto::UINT64:
        return tensor.uint64_data_size();
      case kOnnxUInt4:
      case kOnnxInt4:
        return int64_t{2} * tensor.int32_data_size();  // Two in the low byte of each.
      default:
        return tensor.int32_data_size();
    }
  }
  float Float(int64_t i) const {
    const int at = static_cast<int>(i);
    switch (tensor.data_type()) {
      case TensorProto::FLOAT:
        return tensor.float_data(at);
      case TensorProto::DOUBLE:
        return static_cast<float>(tensor.double_data(at));
      case TensorProto::FLOAT16:
        return HalfToFloat(static_cast<uint16_t>(tensor.int32_data(at)));
      default:
        return absl::bit_cast<float>(static_cast<uint32_t>(tensor.int32_data(at)) << 16);
    }
  }
  int64_t Int(int64_t i) const {
    const int at = static_cast<int>(i);
    switch (tensor.data_type()) {
      case TensorProto::INT64:
        return tensor.int64_data(at);
      case TensorProto::UINT32:
      case TensorProto::UINT64:
        return static_cast<int64_t>(tensor.uint64_data(at));
      case kOnnxUInt4:
      case kOnnxInt4: {
        const char byte = static_cast<char>(tensor.int32_data(at / 2));
        return IntAt({&byte, 1}, tensor.data_type(), i % 2);
      }
      default:
        return tensor.int32_data(at);
    }
  }
};

// The folder that a path is in.
std::string FolderOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

}  // namespace

std::string OnnxTypeName(int data_type) {
  if (const ElementType* type = FindType(data_type)) return std::string(type->name);
  for (const auto& [type, name] : kOtherTypes) {
    if (type == data_type) return std::string(name);
  }
  return absl::StrCat("type ", data_type);
}

bool IsOnnxFloat(int data_type) {
  const ElementType* type = FindType(data_type);
  return type != nullptr && type->is_float;
}

bool IsOnnxWhole(int data_type) {
  const ElementType* type = FindType(data_type);
  return type != nullptr && !type->is_float && data_type != kFloat8E4M3 && data_type != kFloat8E5M2;
}

absl::StatusOr<OnnxFile> OnnxFile::Open(absl::string_view path) {
  OnnxFile file;
  file.path_ = std::string(path);
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxOnnxBytes));
  file.model_ = std::make_unique<::onnx::ModelProto>();
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream coded(&stream);
  constexpr int kNesting = 32;  // Messages in messages; graphs of If and Loop count two each.
  coded.SetRecursionLimit(kNesting);
  if (!file.model_->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    return absl::DataLossError(
        absl::StrCat(path, ": is no ONNX model, is cut off, or has messages nested more than ",
                     kNesting, " deep: what cannot be read begins within byte ",
                     coded.CurrentPosition(), " of ", bytes.size()));
  }
  if (absl::Status status = file.Check(); !status.ok()) return Annotate(status, path);
  return file;
}

absl::Status OnnxFile::Check() {
  if (!model_->has_graph()) return absl::DataLossError("is an ONNX file without a graph");
  for (const auto& opset : model_->opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") opset_ = opset.version();
  }
  if (opset_ == 0) return Bad("names no version of the ONNX operators (opset_import)");
  if (opset_ < kLeastOpset || opset_ > kMostOpset) {
    return absl::UnimplementedError(absl::StrCat("is of opset ", opset_, "; those from ",
                                                 kLeastOpset, " to ", kMostOpset,
                                                 " can be read. Export it as one of those"));
  }
  const ::onnx::GraphProto& graph = this->graph();
  if (graph.node_size() > limits::kMaxOnnxNodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("has ", graph.node_size(), " nodes; the limit is ", limits::kMaxOnnxNodes));
  }
  if (model_->functions_size() > 0) {
    return absl::UnimplementedError(
        absl::StrCat("defines functions of its own ('", model_->functions(0).name(),
                     "'); inline them first (onnx.inliner.inline_local_functions)"));
  }
  if (graph.sparse_initializer_size() > 0) {
    return absl::UnimplementedError("has sparse initializers; store them dense");
  }
  for (const TensorProto& tensor : graph.initializer()) {
    if (tensor.name().size() > limits::kMaxNameBytes)
      return Bad("an initializer's name is too long");
    if (!initializers_.emplace(tensor.name(), &tensor).second) {
      return Bad("initializer '", absl::CHexEscape(tensor.name()), "' is there twice");
    }
  }
  return absl::OkStatus();
}

const TensorProto* OnnxFile::FindInitializer(absl::string_view name) const {
  const auto found = initializers_.find(name);
  return found == initializers_.end() ? nullptr : found->second;
}

absl::StatusOr<KnownTensor> OnnxFile::ReadTensor(const TensorProto& tensor) const {
  const std::string label = absl::StrCat("tensor '", absl::CHexEscape(tensor.name()), "'");
  const ElementType* type = FindType(tensor.data_type());
  if (type == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(label, " is of ", OnnxTypeName(tensor.data_type()), ", which is not read"));
  }
  const Shape shape(absl::MakeConstSpan(tensor.dims().data(), tensor.dims_size()));
  if (absl::Status status = shape.Validate(); !status.ok()) return Annotate(status, label);
  if (tensor.has_segment()) return Bad(label, " is a segment of a tensor, which is not read");
  const int64_t elements = shape.elements();
  const int64_t want = (elements * type->bits + 7) / 8;
  std::string external;
  absl::string_view bytes = tensor.raw_data();
  const bool is_external = tensor.data_location() == TensorProto::EXTERNAL;
  if (is_external) {
    absl::StatusOr<std::string> read = ExternalBytes(tensor, want);
    if (!read.ok()) return Annotate(read.status(), label);
    external = *std::move(read);
    bytes = external;
  }
  const Fields fields = {tensor};
  const bool raw = is_external || tensor.has_raw_data();
  if (raw ? static_cast<int64_t>(bytes.size()) != want
          : fields.size() != (type->bits == 4 ? (elements + 1) / 2 * 2 : elements)) {
    return absl::DataLossError(absl::StrCat(
        label, ": ", type->name, shape.ToString(), " has ", elements, " elements, the file ",
        raw ? absl::StrCat(bytes.size(), " bytes") : absl::StrCat(fields.size(), " numbers")));
  }
  if (type->is_float) {
    MASE_ASSIGN_OR_RETURN(Tensor floats, Tensor::Create(DType::kFloat32, shape));
    const absl::Span<float> data = floats.mutable_data<float>();
    for (int64_t i = 0; i < elements; ++i) {
      data[i] = raw ? FloatAt(bytes, type->type, i) : fields.Float(i);
    }
    return KnownTensor(std::move(floats));
  }
  if (elements > limits::kMaxOnnxFoldedElements) {
    return absl::ResourceExhaustedError(absl::StrCat(label, " has ", elements, " whole numbers; ",
                                                     "the limit is ",
                                                     limits::kMaxOnnxFoldedElements));
  }
  absl::StatusOr<KnownInts> made = KnownInts::WithRoom(shape, tensor.data_type());
  if (!made.ok()) return Annotate(made.status(), label);
  KnownInts ints = *std::move(made);
  ints.values.resize(elements);
  for (int64_t i = 0; i < elements; ++i) {
    ints.values[i].constant = raw ? IntAt(bytes, type->type, i) : fields.Int(i);
  }
  return KnownTensor(std::move(ints));
}

absl::StatusOr<std::string> OnnxFile::ExternalBytes(const TensorProto& tensor,
                                                    int64_t bytes) const {
  std::string location;
  int64_t offset = 0, length = bytes;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    const bool is_offset = entry.key() == "offset";
    if (!is_offset && entry.key() != "length") continue;
    if (!absl::SimpleAtoi(entry.value(), is_offset ? &offset : &length)) {
      return Bad(entry.key(), " '", absl::CHexEscape(entry.value()), "' is no whole number");
    }
  }
  if (location.empty() || location.size() > limits::kMaxNameBytes) {
    return Bad("lies outside of the file, which does not say where");
  }
  const std::string shown = absl::CHexEscape(location);
  if (length != bytes || offset < 0) {
    return absl::DataLossError(absl::StrCat("is ", bytes, " bytes, and lies in ", length,
                                            " bytes from ", offset, " of '", shown, "'"));
  }
  const std::string folder = FolderOf(path_);
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return FileError(folder, "open", errno);
  const absl::Cleanup close_directory = [directory] { ::close(directory); };
  struct open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // A pipe would wait for its writer.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const int file =
      static_cast<int>(::syscall(SYS_openat2, directory, location.c_str(), &how, sizeof how));
  if (file < 0 && (errno == EXDEV || errno == ELOOP)) {
    return Bad("lies in '", shown, "', which leads out of the model's folder or is a link; only ",
               "files beneath that folder are read");
  }
  if (file < 0) return FileError(absl::StrCat(folder, "/", shown), "open", errno);
  const absl::Cleanup close_file = [file] { ::close(file); };
  struct stat stat = {};
  if (::fstat(file, &stat) != 0) return FileError(shown, "look at", errno);
  if (!S_ISREG(stat.st_mode)) return Bad("lies in '", shown, "', which is no regular file");
  if (stat.st_nlink != 1) {
    return Bad("lies in '", shown, "', which has other names too (a hard link); copy it");
  }
  if (offset > stat.st_size || length > stat.st_size - offset) {
    return absl::DataLossError(absl::StrCat("is ", bytes, " bytes from ", offset, " of '", shown,
                                            "', which has ", stat.st_size));
  }
  std::string read(static_cast<size_t>(length), '\0');
  for (int64_t done = 0; done < length;) {
    const ssize_t got = ::pread(file, read.data() + done, length - done, offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(shown, "read", errno);
    if (got == 0) return absl::UnavailableError(absl::StrCat(shown, ": changed while it was read"));
    done += got;
  }
  return read;
}

}  // namespace mase
