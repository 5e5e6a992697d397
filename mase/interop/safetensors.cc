#include "mase/interop/safetensors.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/crc32c.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/interop/element_type.h"
#include "mase/interop/foreign_file.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using Json = nlohmann::json;  // Its ordered sister looks through all keys for each.

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

template <typename... Parts>
absl::Status Corrupt(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

// Appends `text` as JSON has it. Names and metadata may come from files: what is not plain is left
// to the library, which replaces invalid UTF-8. The text of a graph, hundreds of megabytes for a
// million nodes, is plain and not copied.
void AppendQuoted(absl::string_view text, std::string& json) {
  const auto is_escaped = [](char c) { return c == '"' || c == '\\' || c == '\n'; };
  const bool plain =
      absl::c_all_of(text, [](char c) { return (c >= ' ' && c <= '~') || c == '\n'; });
  if (!plain) {
    json += Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  const size_t begin = json.size();
  json.resize(begin + text.size() + absl::c_count_if(text, is_escaped) + 2);
  char* to = json.data() + begin;
  *to++ = '"';
  for (const char c : text) {
    if (is_escaped(c)) *to++ = '\\';
    *to++ = c == '\n' ? 'n' : c;
  }
  *to = '"';
}

uint32_t FileChecksum(absl::string_view bytes, size_t checksum_at) {
  const uint32_t before = Crc32c(kNoChecksum, Crc32c(bytes.substr(0, checksum_at)));
  return Crc32c(bytes.substr(checksum_at + kNoChecksum.size()), before);
}

// Reads the keys of a header: of itself and of its entries; nothing deeper is looked at.
//
// The parser's own way to watch keys while it builds a value looks at all entries after each one.
class KeyReader final : public nlohmann::json_sax<Json> {
 public:
  const std::vector<std::string>& names() const { return names_; }  // In their order.
  const std::string& repeated() const { return repeated_; }         // "" if each key is there once.

  bool start_object(size_t) override {
    if (++depth_ == 2) keys_.clear();
    return true;
  }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override { return ++depth_, true; }
  bool end_array() override { return --depth_, true; }
  bool key(std::string& key) override {
    if (depth_ > 2) return true;
    const bool is_new = (depth_ == 1 ? all_names_ : keys_).insert(key).second;
    if (!is_new && repeated_.empty()) repeated_ = key;
    if (is_new && depth_ == 1) names_.push_back(key);
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  int depth_ = 0;
  absl::flat_hash_set<std::string> all_names_;
  absl::flat_hash_set<std::string> keys_;  // Of the entry at hand.
  std::vector<std::string> names_;
  std::string repeated_;
};

// The header as JSON, each key once, and its keys in their order. nlohmann's parser does not
// recurse.
absl::StatusOr<Json> ParseHeader(absl::string_view text, std::vector<std::string>& order) {
  KeyReader keys;
  const bool is_json = Json::sax_parse(text.begin(), text.end(), &keys);
  const Json header =
      is_json ? Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false) : Json();
  if (!header.is_object()) {
    return Corrupt("is not a safetensors file: its header is not JSON");
  }
  if (!keys.repeated().empty())
    return Corrupt("its header has ", Quoted(keys.repeated()), " twice");
  order = keys.names();
  return header;
}

// A tensor of the header. Its bytes are [begin, end) of the data.
struct Entry {
  std::string name;
  std::string code;
  const ElementType* type = nullptr;  // Null if unknown.
  Shape shape;
  uint64_t begin = 0;
  uint64_t end = 0;

  std::string Place() const { return absl::StrCat(Quoted(name), " [", begin, ", ", end, ")"); }
};

absl::StatusOr<Entry> ParseEntry(const std::string& name, const Json& json, uint64_t data_bytes) {
  const bool complete =
      json.is_object() && json.contains("dtype") && json["dtype"].is_string() &&
      json.contains("shape") && json["shape"].is_array() && json.contains("data_offsets") &&
      json["data_offsets"].is_array() && json["data_offsets"].size() == 2 &&
      json["data_offsets"][0].is_number_unsigned() && json["data_offsets"][1].is_number_unsigned();
  if (!complete) return Corrupt("its header entry lacks dtype, shape or data_offsets");
  if (name.size() > limits::kMaxNameBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("its name has ", name.size(), " bytes, limit ", limits::kMaxNameBytes));
  }
  Entry entry;
  entry.name = name;
  entry.code = json["dtype"].get<std::string>();
  entry.type = FindElementType(entry.code);
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
  if (entry.type == nullptr) return entry;
  const uint64_t bits = static_cast<uint64_t>(entry.shape.elements()) * entry.type->bits;
  if (bits % 8 != 0 || entry.end - entry.begin != bits / 8) {
    return Corrupt("its data [", entry.begin, ", ", entry.end, ") has ", entry.end - entry.begin,
                   " bytes, shape ", entry.shape.ToString(), " of ", entry.code, " wants ",
                   bits / 8, bits % 8 == 0 ? "" : " and a part of one");
  }
  return entry;
}

// The format wants every byte of the data to belong to one tensor. Sorts `entries` by place.
absl::Status CheckCoverage(absl::Span<const Entry*> entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    return std::tie(a->begin, a->end) < std::tie(b->begin, b->end);
  });
  const Entry* last = nullptr;
  uint64_t end = 0;
  for (const Entry* entry : entries) {
    if (entry->begin < end) {
      return Corrupt("tensors ", last->Place(), " and ", entry->Place(),
                     " overlap in the file's data");
    }
    if (entry->begin > end) {
      return Corrupt("bytes [", end, ", ", entry->begin, ") of its data, before tensor ",
                     entry->Place(), ", belong to no tensor");
    }
    last = entry;
    end = entry->end;
  }
  if (end == data_bytes) return absl::OkStatus();
  return Corrupt(
      "bytes [", end, ", ", data_bytes, ") of its data",
      last == nullptr ? "" : absl::StrCat(", after the last tensor ", last->Place(), ","),
      " belong to no tensor");
}

// Adds what the entry says to `contents`.
absl::Status AddTensor(const Entry& entry, absl::string_view data,
                       const std::shared_ptr<const std::string>& file, SafeTensors& contents) {
  const char* begin = data.data() + entry.begin;
  if (entry.type != nullptr && entry.type->widens.has_value()) {
    MASE_ASSIGN_OR_RETURN(Tensor widened, TensorOfElements(*entry.type, entry.shape, begin));
    contents.tensors.push_back({entry.name, std::move(widened)});
    contents.widened[entry.name] = entry.code;
  } else if (entry.type != nullptr && entry.type->dtype.has_value()) {
    const DType dtype = *entry.type->dtype;
    Tensor view = Tensor::View(dtype, entry.shape, begin, file);
    // Other writers need not align; vector loads of float want 4 bytes at least.
    const bool aligned = reinterpret_cast<uintptr_t>(begin) % ElementSize(dtype) == 0;
    if (!aligned) view.mutable_raw_data();
    contents.tensors.push_back({entry.name, std::move(view)});
  } else {
    contents.unread.push_back({entry.name, entry.code, entry.shape});
  }
  return absl::OkStatus();
}

absl::Status ParseMetadata(const Json& json, bool has_checksum, SafeTensors& contents) {
  if (!json.is_object()) return Corrupt("its metadata is no JSON object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return Corrupt("its metadata entry ", Quoted(key), " is no text");
    if (key != kChecksum) contents.metadata[key] = value.get<std::string>();
    // What we wrote had a checksum: damage must not get by on having hit its name.
    if (!has_checksum && absl::StartsWith(key, kOurPrefix)) {
      return Corrupt("is damaged: its checksum is missing");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SafeTensors> ParseFile(const std::shared_ptr<const std::string>& file) {
  const absl::string_view bytes = *file;
  if (bytes.empty()) return Corrupt("is empty");
  if (bytes.size() < kLengthBytes) return Corrupt("is no safetensors file: shorter than 8 bytes");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (!absl::StartsWith(bytes.substr(kLengthBytes), "{")) {
    const std::string foreign = DescribeForeignFile(bytes);
    if (!foreign.empty()) return absl::InvalidArgumentError(foreign);
    return Corrupt("is no safetensors file: its header does not begin with '{'");
  }
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
  std::vector<std::string> names;
  MASE_ASSIGN_OR_RETURN(const Json header, ParseHeader(header_text, names));

  const bool has_checksum = absl::StartsWith(header_text, kChecksumPrefix);
  if (has_checksum) {
    const size_t at = kLengthBytes + kChecksumPrefix.size();
    if (bytes.size() - at < kNoChecksum.size()) return Corrupt("is damaged: its checksum is cut");
    const std::string computed = absl::StrFormat("%08x", FileChecksum(bytes, at));
    if (bytes.substr(at, kNoChecksum.size()) != computed) {
      return Corrupt("is damaged: checksum ", bytes.substr(at, kNoChecksum.size()), ", computed ",
                     computed);
    }
  }
  SafeTensors contents;
  std::vector<Entry> entries;
  for (const std::string& name : names) {
    const Json& json = header[name];
    if (name == kMetadata) {
      MASE_RETURN_IF_ERROR(ParseMetadata(json, has_checksum, contents));
      continue;
    }
    absl::StatusOr<Entry> entry = ParseEntry(name, json, data.size());
    if (!entry.ok()) {
      return Annotate(entry.status(), absl::StrCat("tensor ", Quoted(name)));
    }
    entries.push_back(*std::move(entry));
  }
  std::vector<const Entry*> by_place;
  for (const Entry& entry : entries) by_place.push_back(&entry);
  MASE_RETURN_IF_ERROR(CheckCoverage(absl::MakeSpan(by_place), data.size()));
  for (const Entry& entry : entries) {
    MASE_RETURN_IF_ERROR(AddTensor(entry, data, file, contents));
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

std::string SafeTensors::TypeOf(const std::string& name, const Tensor& tensor) const {
  const auto it = widened.find(name);
  return it == widened.end() ? std::string(ElementCode(tensor.dtype())) : it->second;
}

absl::StatusOr<SafeTensors> ReadSafeTensors(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, limits::kMaxCheckpointBytes));
  absl::StatusOr<SafeTensors> contents =
      ParseFile(std::make_shared<const std::string>(std::move(bytes)));
  if (!contents.ok()) return Annotate(contents.status(), path);
  return contents;
}

absl::Status WriteSafeTensors(absl::string_view path, const SafeTensors& contents) {
  std::string head(kLengthBytes, '\0');
  absl::StrAppend(&head, kChecksumPrefix, kNoChecksum, "\"");
  for (const auto& [key, value] : contents.metadata) {
    head += ',';
    AppendQuoted(key, head);
    head += ':';
    AppendQuoted(value, head);
  }
  absl::StrAppend(&head, "}");
  uint64_t offset = 0;
  absl::flat_hash_set<absl::string_view> names = {kMetadata};
  for (const NamedTensor& tensor : contents.tensors) {
    if (!names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": two tensors are named ", Quoted(tensor.name)));
    }
    const uint64_t end = offset + tensor.value.size_bytes();
    head += ',';
    AppendQuoted(tensor.name, head);
    absl::StrAppend(&head, ":{\"dtype\":\"", ElementCode(tensor.value.dtype()), "\",\"shape\":[",
                    absl::StrJoin(tensor.value.shape().dims(), ","), "],\"data_offsets\":[", offset,
                    ",", end, "]}");
    offset = end;
  }
  absl::StrAppend(&head, "}");
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
