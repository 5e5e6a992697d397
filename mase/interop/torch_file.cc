#include "mase/interop/torch_file.h"

#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/interop/element_type.h"
#include "mase/interop/pickle.h"
#include "mase/interop/zip_archive.h"

namespace mase {
namespace {

using Kind = PickleValue::Kind;

// The pickle of the number 0x1950a86a20f9469cfc6c, by which old files begin, protocol 2.
constexpr absl::string_view kOldMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                                      15);

// Where state dicts are in what people save around them.
constexpr absl::string_view kInnerDicts[] = {"state_dict", "model_state_dict", "model"};

constexpr absl::string_view kAdvice =
    "in Python, torch.save(model.state_dict(), \"FILE.pt\") writes what is read";

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged PyTorch file: ", what));
}

// The bytes of a storage by its key.
using StorageBytes = std::function<absl::StatusOr<std::string>(absl::string_view key)>;

// Makes tensors of what a pickle says of them.
class TensorReader {
 public:
  TensorReader(const Pickle& pickle, StorageBytes storage_bytes)
      : pickle_(pickle), storage_bytes_(std::move(storage_bytes)) {}

  absl::Status Add(absl::string_view name, const PickleValue& tensor, SafeTensors& contents) {
    absl::StatusOr<Tensor> read = Read(tensor);
    if (!read.ok()) return Annotate(read.status(), absl::StrCat("tensor ", Quoted(name)));
    const absl::string_view code = pickle_.ElementCodeOf(pickle_.at(tensor.items[0]));
    if (FindElementType(code)->widens.has_value()) {
      contents.widened[std::string(name)] = std::string(code);
    }
    contents.tensors.push_back({std::string(name), *std::move(read)});
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Tensor> Read(const PickleValue& tensor) {
    const PickleValue& storage = pickle_.at(tensor.items[0]);
    const int64_t offset = pickle_.at(tensor.items[1]).number;
    const std::vector<int64_t> sizes = Numbers(tensor.items[2]);
    const std::vector<int64_t> strides = Numbers(tensor.items[3]);
    if (sizes.size() != strides.size()) return Damaged("as many strides as sizes are wanted");
    const Shape shape{absl::MakeConstSpan(sizes)};
    MASE_RETURN_IF_ERROR(shape.Validate());
    const ElementType& type = *FindElementType(pickle_.ElementCodeOf(storage));
    MASE_ASSIGN_OR_RETURN(const std::string* bytes, BytesOf(storage, type));
    const auto length = static_cast<int64_t>(bytes->size() / (type.bits / 8));
    MASE_RETURN_IF_ERROR(CheckInside(shape, strides, offset, length));
    const auto element = static_cast<int64_t>(type.bits / 8);
    const char* first = bytes->data() + (shape.elements() == 0 ? 0 : offset * element);
    if (IsRowMajor(shape, strides)) return TensorOfElements(type, shape, first);
    MASE_RETURN_IF_ERROR(CheckMemory(shape.elements() * element, "a tensor with strides"));
    std::string gathered;
    gathered.reserve(static_cast<size_t>(shape.elements() * element));
    std::vector<int64_t> index(sizes.size(), 0);
    for (int64_t i = 0; i < shape.elements(); ++i) {
      int64_t at = 0;
      for (size_t axis = 0; axis < index.size(); ++axis) at += index[axis] * strides[axis];
      gathered.append(first + at * element, static_cast<size_t>(element));
      for (size_t axis = index.size(); axis-- > 0 && ++index[axis] == sizes[axis];) index[axis] = 0;
    }
    return TensorOfElements(type, shape, gathered.data());
  }

  std::vector<int64_t> Numbers(PickleValue::Id tuple) const {
    std::vector<int64_t> numbers;
    for (const PickleValue::Id item : pickle_.at(tuple).items) {
      numbers.push_back(pickle_.at(item).number);
    }
    return numbers;
  }

  // Whether all elements are in a storage of `length` of them, and no more than it has (an expanded
  // tensor of a small file would fill the memory).
  static absl::Status CheckInside(const Shape& shape, absl::Span<const int64_t> strides,
                                  int64_t offset, int64_t length) {
    if (shape.elements() == 0) return absl::OkStatus();
    const auto outside = [&] {
      return Damaged(absl::StrCat(shape.ToString(), " from element ", offset,
                                  " is not in its storage of ", length, " elements"));
    };
    if (offset < 0 || offset >= length || shape.elements() > length) return outside();
    int64_t last = offset;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (strides[axis] < 0) return outside();
      const int64_t steps = shape[axis] - 1;
      if (steps > 0 && strides[axis] > (length - 1 - last) / steps) return outside();
      last += steps * strides[axis];
    }
    return absl::OkStatus();
  }

  static bool IsRowMajor(const Shape& shape, absl::Span<const int64_t> strides) {
    int64_t wanted = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (shape[axis] != 1 && strides[axis] != wanted) return false;
      wanted *= shape[axis];
    }
    return true;
  }

  // Storages are kept while the file is read, as tensors may share them.
  absl::StatusOr<const std::string*> BytesOf(const PickleValue& storage, const ElementType& type) {
    const std::string key(storage.text);
    auto found = storages_.find(key);
    if (found == storages_.end()) {
      absl::StatusOr<std::string> bytes = storage_bytes_(key);
      if (!bytes.ok()) return bytes.status();
      found = storages_.emplace(key, *std::move(bytes)).first;
    }
    const int64_t length = pickle_.at(storage.items[1]).number;
    const size_t element = type.bits / 8;
    if (length < 0 || found->second.size() / element < static_cast<uint64_t>(length)) {
      return Damaged(absl::StrCat("storage ", Quoted(key), " has ", found->second.size(),
                                  " bytes and should have ", length, " elements of ", element));
    }
    return &found->second;
  }

  const Pickle& pickle_;
  const StorageBytes storage_bytes_;
  absl::node_hash_map<std::string, std::string> storages_;
};

bool HasTensors(const Pickle& pickle, const PickleValue& dict) {
  for (size_t i = 0; dict.kind == Kind::kDict && i + 1 < dict.items.size(); i += 2) {
    if (pickle.at(dict.items[i + 1]).kind == Kind::kTensor) return true;
  }
  return false;
}

// The state dict of a whole module, as PyTorch's state_dict() makes it: parameters, then buffers
// that are not left out, then those of the modules in it, by paths.
absl::StatusOr<SafeTensors> TensorsOfModule(const Pickle& pickle, const PickleValue& root,
                                            StorageBytes storage_bytes) {
  SafeTensors contents;
  TensorReader reader(pickle, std::move(storage_bytes));
  struct Open {
    const PickleValue* module;
    std::string path;  // With its dot.
    int depth;
  };
  std::vector<Open> open = {{&root, "", 0}};
  int64_t modules = 1, bytes = 0;  // That were met; of their tensors.
  int64_t quantized = 0;
  std::set<absl::string_view> quantized_classes;
  while (!open.empty()) {
    const Open next = open.back();
    open.pop_back();
    if (next.module->items.empty()) return Damaged("a module without fields");
    if (pickle.IsMaseQuantized(*next.module)) {
      ++quantized;
      quantized_classes.insert(next.module->text);
    }
    const PickleValue& fields = pickle.at(next.module->items[0]);
    const PickleValue* left_out = pickle.Find(fields, "_non_persistent_buffers_set");
    const auto is_left_out = [&](absl::string_view name) {
      return left_out != nullptr && absl::c_any_of(left_out->items, [&](PickleValue::Id id) {
               return pickle.at(id).text == name;
             });
    };
    for (const absl::string_view kind : {"_parameters", "_buffers"}) {
      const PickleValue* tensors = pickle.Find(fields, kind);
      if (tensors == nullptr || tensors->kind != Kind::kDict) return Damaged("a module's tensors");
      for (size_t i = 0; i + 1 < tensors->items.size(); i += 2) {
        const absl::string_view name = pickle.at(tensors->items[i]).text;
        const PickleValue& value = pickle.at(tensors->items[i + 1]);
        if (value.kind == Kind::kNone || (kind == "_buffers" && is_left_out(name))) continue;
        if (value.kind != Kind::kTensor) return Damaged("a module's tensor is none");
        MASE_RETURN_IF_ERROR(reader.Add(absl::StrCat(next.path, name), value, contents));
        bytes += static_cast<int64_t>(contents.tensors.back().value.size_bytes());
        // One tensor under many names is many tensors here.
        MASE_RETURN_IF_ERROR(CheckMemory(bytes, "the tensors of a module"));
      }
    }
    const PickleValue* inside = pickle.Find(fields, "_modules");
    if (inside == nullptr || inside->kind != Kind::kDict) return Damaged("a module's modules");
    for (size_t i = inside->items.size() / 2; i-- > 0;) {  // The first is to be read first.
      const PickleValue& module = pickle.at(inside->items[2 * i + 1]);
      if (module.kind == Kind::kNone) continue;
      if (module.kind != Kind::kModule) return Damaged("a module in a module is none");
      std::string path = absl::StrCat(next.path, pickle.at(inside->items[2 * i]).text, ".");
      // A module in itself, or one under many names, would have no end.
      if (next.depth == limits::kMaxPickleNesting || ++modules > limits::kMaxGraphNodes ||
          static_cast<int64_t>(path.size()) > limits::kMaxNameBytes) {
        return absl::ResourceExhaustedError(
            absl::StrCat("modules in modules more than ", limits::kMaxPickleNesting,
                         " deep, more than ", limits::kMaxGraphNodes,
                         " of them, or a path of more than ", limits::kMaxNameBytes, " bytes"));
      }
      open.push_back({&module, std::move(path), next.depth + 1});
    }
  }
  if (contents.tensors.empty()) {
    return absl::InvalidArgumentError("is a PyTorch module without tensors");
  }
  if (quantized > 0) {
    contents.notes.push_back(
        absl::StrCat(quantized, quantized == 1 ? " layer is" : " layers are", " MASE's quantized (",
                     absl::StrJoin(quantized_classes, ", "),
                     "): weights are read as they were before rounding, number formats are not; "
                     "give them again, in [passes.quantize]"));
  }
  return contents;
}

absl::StatusOr<SafeTensors> TensorsOf(const Pickle& pickle, StorageBytes storage_bytes) {
  for (const absl::string_view key : kInnerDicts) {
    const PickleValue* inner = pickle.Find(pickle.root(), key);
    if (inner != nullptr && inner->kind == Kind::kModule) {
      return TensorsOfModule(pickle, *inner, std::move(storage_bytes));
    }
  }
  if (pickle.root().kind == Kind::kModule) {
    return TensorsOfModule(pickle, pickle.root(), std::move(storage_bytes));
  }
  const PickleValue* dict = &pickle.root();
  for (const absl::string_view key : kInnerDicts) {
    if (const PickleValue* inner = pickle.Find(pickle.root(), key);
        inner != nullptr && HasTensors(pickle, *inner)) {
      dict = inner;
      break;
    }
  }
  if (!HasTensors(pickle, *dict)) {
    return absl::InvalidArgumentError(
        absl::StrCat("is a PyTorch file without a dict of tensors; ", kAdvice));
  }
  SafeTensors contents;
  TensorReader reader(pickle, std::move(storage_bytes));
  for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const PickleValue &name = pickle.at(dict->items[i]), &value = pickle.at(dict->items[i + 1]);
    if (value.kind != Kind::kTensor) continue;
    if (name.kind != Kind::kText) {
      return absl::InvalidArgumentError("a tensor of its state dict has no text as a name");
    }
    MASE_RETURN_IF_ERROR(reader.Add(name.text, value, contents));
  }
  return contents;
}

absl::StatusOr<SafeTensors> ParseArchive(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(bytes));
  constexpr absl::string_view kPickle = "data.pkl";
  std::string folder;  // With its slash.
  for (const std::string& name : archive.names()) {
    absl::string_view prefix = name;
    if (absl::ConsumeSuffix(&prefix, kPickle) && (prefix.empty() || absl::EndsWith(prefix, "/"))) {
      folder = std::string(prefix);
    }
  }
  if (const std::string order = absl::StrCat(folder, "byteorder"); archive.Has(order)) {
    MASE_ASSIGN_OR_RETURN(const std::string text, archive.Unpack(order));
    if (text != "little") {
      return absl::UnimplementedError(
          absl::StrCat("its numbers are in the byte order ", Quoted(text), ", want little"));
    }
  }
  MASE_ASSIGN_OR_RETURN(const std::string text, archive.Unpack(absl::StrCat(folder, kPickle)));
  MASE_ASSIGN_OR_RETURN(const Pickle pickle, Pickle::Parse(text));
  return TensorsOf(pickle, [&](absl::string_view key) {
    return archive.Unpack(absl::StrCat(folder, "data/", key));
  });
}

// A pickle each of the magic number, a version, facts of the machine, the object, and the keys of
// its storages; then for each of those its length in 8 bytes, and its elements.
absl::StatusOr<SafeTensors> ParseOldFile(absl::string_view bytes) {
  const auto next = [&]() -> absl::StatusOr<Pickle> {
    MASE_ASSIGN_OR_RETURN(Pickle pickle, Pickle::Parse(bytes));
    bytes.remove_prefix(pickle.size());
    return pickle;
  };
  constexpr int64_t kVersion = 1001;
  MASE_RETURN_IF_ERROR(next().status());
  MASE_ASSIGN_OR_RETURN(const Pickle version, next());
  if (version.root().number != kVersion) return Damaged("its version is not 1001");
  MASE_ASSIGN_OR_RETURN(const Pickle machine, next());
  if (const PickleValue* little = machine.Find(machine.root(), "little_endian");
      little != nullptr && little->number == 0) {
    return absl::UnimplementedError("its numbers are big-endian");
  }
  MASE_ASSIGN_OR_RETURN(const Pickle pickle, next());
  MASE_ASSIGN_OR_RETURN(const Pickle keys, next());
  // How long an element of each storage is, the object says.
  absl::flat_hash_map<std::string, uint64_t> element_bytes;
  for (PickleValue::Id id = 0; id < pickle.values(); ++id) {
    const PickleValue& value = pickle.at(id);
    if (value.kind != Kind::kStorage) continue;
    element_bytes[std::string(value.text)] = FindElementType(pickle.ElementCodeOf(value))->bits / 8;
  }
  absl::flat_hash_map<std::string, absl::string_view> storages;
  for (const PickleValue::Id id : keys.root().items) {
    const std::string key(keys.at(id).text);
    uint64_t length = 0;
    const auto element = element_bytes.find(key);
    if (element == element_bytes.end()) return Damaged("a storage of no tensor");
    if (bytes.size() < sizeof(length)) return Damaged("truncated");
    std::memcpy(&length, bytes.data(), sizeof(length));
    bytes.remove_prefix(sizeof(length));
    if (length > bytes.size() / element->second) return Damaged("truncated");
    storages[key] = bytes.substr(0, length * element->second);
    bytes.remove_prefix(length * element->second);
  }
  return TensorsOf(pickle, [&](absl::string_view key) -> absl::StatusOr<std::string> {
    const auto found = storages.find(std::string(key));
    if (found == storages.end()) return Damaged(absl::StrCat("no storage ", Quoted(key)));
    return std::string(found->second);
  });
}

}  // namespace

bool IsOldTorchFile(absl::string_view bytes) { return absl::StartsWith(bytes, kOldMagic); }

absl::StatusOr<SafeTensors> ParseTorchFile(absl::string_view bytes) {
  return IsOldTorchFile(bytes) ? ParseOldFile(bytes) : ParseArchive(bytes);
}

}  // namespace mase
