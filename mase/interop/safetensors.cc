#include "mase/interop/safetensors.h"

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/crc32c.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kMetadata[] = "__metadata__";
constexpr char kOurPrefix[] = "mase.";
constexpr char kChecksum[] = "mase.crc32c";
constexpr size_t kLengthBytes = 8;
// The checksum is the first metadata entry, so that it stands at a fixed place;
// it is computed over the file with these eight digits as zeros.
constexpr absl::string_view kChecksumPrefix = "{\"__metadata__\":{\"mase.crc32c\":\"";
constexpr absl::string_view kNoChecksum = "00000000";
// The data begins at a multiple of this, so that mapped tensors are aligned.
constexpr size_t kAlignment = 64;

struct DTypeCode {
  DType dtype;
  absl::string_view code;
};
constexpr DTypeCode kDTypeCodes[] = {
    {DType::kFloat32, "F32"}, {DType::kFloat64, "F64"}, {DType::kBFloat16, "BF16"},
    {DType::kInt8, "I8"},     {DType::kUInt8, "U8"},    {DType::kInt32, "I32"},
    {DType::kInt64, "I64"},   {DType::kBool, "BOOL"},
};

absl::string_view CodeOf(DType dtype) {
  for (const DTypeCode& entry : kDTypeCodes) {
    if (entry.dtype == dtype) return entry.code;
  }
  return "";
}

absl::StatusOr<DType> DTypeOfCode(absl::string_view code) {
  for (const DTypeCode& entry : kDTypeCodes) {
    if (entry.code == code) return entry.dtype;
  }
  return absl::InvalidArgumentError(absl::StrCat("element type '", code, "' is not supported"));
}

template <typename... Parts>
absl::Status Corrupt(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

// Pickles begin with a zip signature (torch.save) or a protocol opcode.
absl::Status CheckNotPickle(absl::string_view bytes) {
  if (!absl::StartsWith(bytes, "PK\x03\x04") && !absl::StartsWith(bytes, "\x80\x02")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "is a Python pickle, which can run code when loaded; convert it in Python:\n"
      "  import torch, safetensors.torch\n"
      "  state = torch.load(\"model.ckpt\", map_location=\"cpu\"); state = "
      "state.get(\"state_dict\", state)\n"
      "  safetensors.torch.save_file({k.removeprefix(\"model.\"): v.contiguous() for k, v in "
      "state.items()}, \"model.safetensors\")");
}

uint32_t FileChecksum(absl::string_view bytes, size_t checksum_at) {
  const uint32_t before = Crc32c(kNoChecksum, Crc32c(bytes.substr(0, checksum_at)));
  return Crc32c(bytes.substr(checksum_at + kNoChecksum.size()), before);
}

// The header as JSON, each name once. nlohmann's parser does not recurse.
absl::StatusOr<Json> ParseHeader(absl::string_view text) {
  std::set<std::string> names;
  bool repeated = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1) {
      repeated |= !names.insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  Json header = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object()) {
    return Corrupt("is not a safetensors file: its header is not JSON");
  }
  if (repeated) return Corrupt("names a tensor twice in its header");
  return header;
}

struct Entry {
  DType dtype;
  Shape shape;
  uint64_t begin;
  uint64_t end;
};

absl::StatusOr<Entry> ParseEntry(const Json& json, uint64_t data_bytes) {
  const bool complete =
      json.is_object() && json.contains("dtype") && json["dtype"].is_string() &&
      json.contains("shape") && json["shape"].is_array() && json.contains("data_offsets") &&
      json["data_offsets"].is_array() && json["data_offsets"].size() == 2 &&
      json["data_offsets"][0].is_number_unsigned() && json["data_offsets"][1].is_number_unsigned();
  if (!complete) return Corrupt("its header entry lacks dtype, shape or data_offsets");
  Entry entry;
  MASE_ASSIGN_OR_RETURN(entry.dtype, DTypeOfCode(json["dtype"].get<std::string>()));
  for (const Json& extent : json["shape"]) {
    if (!extent.is_number_integer()) return Corrupt("its shape has an extent that is no integer");
    entry.shape.push_back(extent.get<int64_t>());
    if (entry.shape.rank() > limits::kMaxTensorRank) break;
  }
  MASE_RETURN_IF_ERROR(entry.shape.Validate());
  entry.begin = json["data_offsets"][0].get<uint64_t>();
  entry.end = json["data_offsets"][1].get<uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return Corrupt("its data [", entry.begin, ", ", entry.end, ") is outside the file's ",
                   data_bytes, " bytes: truncated?");
  }
  const uint64_t wanted = static_cast<uint64_t>(entry.shape.elements()) * ElementSize(entry.dtype);
  if (entry.end - entry.begin != wanted) {
    return Corrupt("it has ", entry.end - entry.begin, " bytes, shape ", entry.shape.ToString(),
                   " of ", DTypeName(entry.dtype), " wants ", wanted);
  }
  return entry;
}

absl::StatusOr<SafeTensors> ParseFile(const std::shared_ptr<const std::string>& file) {
  const absl::string_view bytes = *file;
  MASE_RETURN_IF_ERROR(CheckNotPickle(bytes));
  uint64_t header_bytes = 0;
  if (bytes.size() < kLengthBytes) return Corrupt("is no safetensors file: shorter than 8 bytes");
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > bytes.size() - kLengthBytes) {
    return Corrupt("is no safetensors file, or truncated: header of ", header_bytes,
                   " bytes in a file of ", bytes.size());
  }
  if (header_bytes > static_cast<uint64_t>(limits::kMaxCheckpointHeaderBytes)) {
    return absl::ResourceExhaustedError(absl::StrCat("header of ", header_bytes, " bytes, limit ",
                                                     limits::kMaxCheckpointHeaderBytes));
  }
  const absl::string_view header_text = bytes.substr(kLengthBytes, header_bytes);
  const absl::string_view data = bytes.substr(kLengthBytes + header_bytes);
  MASE_ASSIGN_OR_RETURN(const Json header, ParseHeader(header_text));

  const bool has_checksum = absl::StartsWith(header_text, kChecksumPrefix);
  if (has_checksum) {
    const size_t at = kLengthBytes + kChecksumPrefix.size();
    const std::string computed = absl::StrFormat("%08x", FileChecksum(bytes, at));
    if (bytes.substr(at, kNoChecksum.size()) != computed) {
      return Corrupt("is damaged: checksum ", bytes.substr(at, kNoChecksum.size()), ", computed ",
                     computed);
    }
  }
  SafeTensors contents;
  for (const auto& [name, json] : header.items()) {
    if (name == kMetadata) {
      if (!json.is_object()) return Corrupt("its metadata is no JSON object");
      for (const auto& [key, value] : json.items()) {
        if (!value.is_string()) return Corrupt("its metadata entry '", key, "' is no text");
        if (key != kChecksum) contents.metadata[key] = value.get<std::string>();
        // What we wrote had a checksum: damage must not get by on having hit its name.
        if (!has_checksum && absl::StartsWith(key, kOurPrefix)) {
          return Corrupt("is damaged: its checksum is missing");
        }
      }
      continue;
    }
    absl::StatusOr<Entry> entry = ParseEntry(json, data.size());
    if (!entry.ok()) {
      return Annotate(entry.status(),
                      absl::StrCat("tensor '", name.substr(0, limits::kMaxNameBytes), "'"));
    }
    const char* begin = data.data() + entry->begin;
    Tensor view = Tensor::View(entry->dtype, entry->shape, begin, file);
    // Other writers need not align; vector loads of float want 4 bytes at least.
    const bool aligned = reinterpret_cast<uintptr_t>(begin) % ElementSize(entry->dtype) == 0;
    if (!aligned) view.mutable_raw_data();
    contents.tensors.push_back({name, std::move(view)});
  }
  return contents;
}

}  // namespace

const Tensor* SafeTensors::Find(absl::string_view name) const {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == name) return &tensor.value;
  }
  return nullptr;
}

absl::StatusOr<SafeTensors> ReadSafeTensors(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, limits::kMaxCheckpointBytes));
  absl::StatusOr<SafeTensors> contents =
      ParseFile(std::make_shared<const std::string>(std::move(bytes)));
  if (!contents.ok()) return Annotate(contents.status(), path);
  return contents;
}

absl::Status WriteSafeTensors(absl::string_view path, const SafeTensors& contents) {
  Json header;
  header[kMetadata][kChecksum] = std::string(kNoChecksum);
  for (const auto& [key, value] : contents.metadata) header[kMetadata][key] = value;
  uint64_t offset = 0;
  for (const NamedTensor& tensor : contents.tensors) {
    if (header.contains(tensor.name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": two tensors are named '", tensor.name, "'"));
    }
    Json& entry = header[tensor.name];
    entry["dtype"] = std::string(CodeOf(tensor.value.dtype()));
    entry["shape"] = Json::array();
    for (int64_t extent : tensor.value.shape().dims()) entry["shape"].push_back(extent);
    entry["data_offsets"] = {offset, offset + tensor.value.size_bytes()};
    offset += tensor.value.size_bytes();
  }
  std::string head(kLengthBytes, '\0');
  // Names and metadata may come from files: invalid UTF-8 is replaced, not thrown at us.
  absl::StrAppend(&head, header.dump(-1, ' ', false, Json::error_handler_t::replace));
  head.resize((head.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const uint64_t header_bytes = head.size() - kLengthBytes;
  std::memcpy(head.data(), &header_bytes, kLengthBytes);

  uint32_t crc = Crc32c(head);
  std::vector<absl::string_view> pieces = {head};
  for (const NamedTensor& tensor : contents.tensors) {
    pieces.emplace_back(static_cast<const char*>(tensor.value.raw_data()),
                        tensor.value.size_bytes());
    crc = Crc32c(pieces.back(), crc);
  }
  const std::string digits = absl::StrFormat("%08x", crc);
  std::memcpy(head.data() + kLengthBytes + kChecksumPrefix.size(), digits.data(), digits.size());
  return WriteFileAtomically(path, pieces);
}

}  // namespace mase
