#include "mase/interop/pickle.h"

#include <cstring>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/interop/pickle_globals.h"
#include "mase/interop/pickle_opcodes.h"

namespace mase {
namespace {

using Kind = PickleValue::Kind;
using Id = PickleValue::Id;
using Makes = PickleMakes;
using namespace pickle_op;  // NOLINT(google-build-using-namespace): constants.

const PickleGlobal& GlobalOf(const PickleValue& value) {
  return PickleGlobalAt(static_cast<size_t>(value.number));
}

}  // namespace

class PickleMachine {
 public:
  explicit PickleMachine(absl::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<Pickle> Run() {
    if (bytes_.size() < 2 || static_cast<uint8_t>(bytes_[0]) != kProto) {
      return absl::DataLossError("is no pickle: it does not begin with a protocol");
    }
    while (!stopped_) {
      op_at_ = at_;
      MASE_ASSIGN_OR_RETURN(const absl::string_view op, Take(1));
      MASE_RETURN_IF_ERROR(Do(static_cast<uint8_t>(op[0])));
      if (static_cast<int64_t>(at_) > limits::kMaxPickleBytes ||
          static_cast<int64_t>(pickle_.values_.size()) + items_ > limits::kMaxPickleValues) {
        return absl::ResourceExhaustedError(absl::StrCat("pickle of more than ",
                                                         limits::kMaxPickleBytes, " bytes or ",
                                                         limits::kMaxPickleValues, " values"));
      }
    }
    pickle_.size_ = at_;
    return std::move(pickle_);
  }

 private:
  template <typename... Parts>
  absl::Status Damaged(const Parts&... parts) const {
    return absl::DataLossError(absl::StrCat("pickle, byte ", op_at_, ": ", parts...));
  }
  template <typename... Parts>
  absl::Status Refused(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat("pickle, byte ", op_at_, ": ", parts...));
  }

  absl::StatusOr<absl::string_view> Take(size_t count) {
    if (count > bytes_.size() - at_) return Damaged("truncated");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }

  // The next `count` bytes as a number without sign, little-endian.
  absl::StatusOr<uint64_t> TakeNumber(size_t count) {
    MASE_ASSIGN_OR_RETURN(const absl::string_view taken, Take(count));
    uint64_t number = 0;
    std::memcpy(&number, taken.data(), count);
    return number;
  }

  absl::StatusOr<absl::string_view> TakeLine() {
    const size_t end = bytes_.find('\n', at_);
    if (end == absl::string_view::npos) return Damaged("a line without an end");
    const absl::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  PickleValue& at(Id id) { return pickle_.values_[id]; }

  Id Make(PickleValue value) {
    items_ += static_cast<int64_t>(value.items.size());  // Calls may copy those of their arguments.
    pickle_.values_.push_back(std::move(value));
    return static_cast<Id>(pickle_.values_.size() - 1);
  }
  absl::Status Push(PickleValue value) {
    stack_.push_back(Make(std::move(value)));
    return absl::OkStatus();
  }

  // Values above the last mark may be taken.
  size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  absl::StatusOr<Id> PopValue() {
    if (available() == 0) return Damaged("the stack is empty");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }

  absl::StatusOr<std::vector<Id>> PopToMark() {
    if (marks_.empty()) return Damaged("there is no mark");
    std::vector<Id> items(stack_.begin() + static_cast<int64_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  // The value on top, which stays, and must be of this kind.
  absl::StatusOr<PickleValue*> Top(Kind kind, absl::string_view what) {
    if (available() == 0) return Damaged("the stack is empty");
    PickleValue& value = at(stack_.back());
    if (value.kind != kind) return Damaged("wants ", what, " on the stack");
    return &value;
  }

  absl::Status PushTuple(size_t count) {
    if (available() < count) return Damaged("the stack is empty");
    PickleValue tuple{.kind = Kind::kTuple};
    tuple.items.assign(stack_.end() - static_cast<int64_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return Push(std::move(tuple));
  }

  absl::Status PushText(size_t length_bytes) {
    MASE_ASSIGN_OR_RETURN(const uint64_t length, TakeNumber(length_bytes));
    MASE_ASSIGN_OR_RETURN(const absl::string_view text, Take(length));
    return Push({.kind = Kind::kText, .text = text});
  }

  // Two's complement, little-endian.
  absl::Status PushLong(size_t length_bytes) {
    MASE_ASSIGN_OR_RETURN(const uint64_t length, TakeNumber(length_bytes));
    MASE_ASSIGN_OR_RETURN(const absl::string_view digits, Take(length));
    PickleValue value{.kind = Kind::kInt, .text = digits};
    if (digits.size() <= 8) {
      const bool negative = !digits.empty() && (digits.back() & 0x80) != 0;
      uint64_t number = negative ? ~uint64_t{0} : 0;
      std::memcpy(&number, digits.data(), digits.size());
      value.number = static_cast<int64_t>(number);
      value.text = "";
    }
    return Push(std::move(value));
  }

  absl::Status PushFloat() {
    MASE_ASSIGN_OR_RETURN(const absl::string_view taken, Take(8));
    uint64_t bits = 0;  // Big-endian, alone among the opcodes.
    for (const char byte : taken) bits = bits << 8 | static_cast<uint8_t>(byte);
    PickleValue value{.kind = Kind::kFloat};
    std::memcpy(&value.real, &bits, 8);
    return Push(std::move(value));
  }

  absl::Status PushGlobal(absl::string_view module, absl::string_view name) {
    if (const std::optional<size_t> place = FindPickleGlobal(module, name); place.has_value()) {
      return Push({.kind = Kind::kGlobal, .number = static_cast<int64_t>(*place), .text = name});
    }
    return Refused("wants ", Quoted(absl::StrCat(module, ".", name)),
                   ", and only tensors and plain data are read; in Python,\n"
                   "  torch.save(model.state_dict(), \"FILE.pt\")\nsaves the tensors alone");
  }

  absl::Status Put(uint64_t key) {
    if (available() == 0) return Damaged("the stack is empty");
    memo_[key] = stack_.back();
    return absl::OkStatus();
  }

  absl::Status Get(uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) return Damaged("no value was noted as ", key);
    stack_.push_back(found->second);
    return absl::OkStatus();
  }

  // Calls what may be called.
  absl::Status Reduce() {
    MASE_ASSIGN_OR_RETURN(const Id arguments_id, PopValue());
    MASE_ASSIGN_OR_RETURN(const Id callee_id, PopValue());
    if (at(callee_id).kind != Kind::kGlobal || at(arguments_id).kind != Kind::kTuple) {
      return Damaged("a call of what is no function");
    }
    const PickleGlobal& callee = GlobalOf(at(callee_id));
    // Of values that are there already: no copy, which a few bytes could ask for again and again.
    const std::vector<Id>& arguments = at(arguments_id).items;
    items_ += static_cast<int64_t>(arguments.size());
    const auto wrong = [&] {
      return Damaged("arguments of ", callee.module, ".", callee.name, " make no sense");
    };
    switch (callee.makes) {
      case Makes::kDict:
        if (arguments.empty()) return Push({.kind = Kind::kDict});
        return arguments.size() == 1 ? PushDictOf(arguments[0]) : wrong();
      case Makes::kList:
        if (arguments.size() != 1) return wrong();
        return Push({.kind = Kind::kList, .items = at(arguments[0]).items});
      case Makes::kArgument:
        if (arguments.empty()) return wrong();
        stack_.push_back(arguments[0]);
        return absl::OkStatus();
      case Makes::kTensor: {
        const bool fits = arguments.size() >= 4 && at(arguments[0]).kind == Kind::kStorage &&
                          at(arguments[1]).kind == Kind::kInt && IsShape(arguments[2]) &&
                          IsShape(arguments[3]);
        if (!fits) return wrong();
        return Push({.kind = Kind::kTensor,
                     .items = std::vector<Id>(arguments.begin(), arguments.begin() + 4)});
      }
      case Makes::kOther:
        return Push({.kind = Kind::kOther});
      case Makes::kGraphModule:
        if (arguments.size() != 2 || at(arguments[0]).kind != Kind::kDict) return wrong();
        return Push({.kind = Kind::kModule,
                     .number = at(callee_id).number,
                     .text = callee.name,
                     .items = {arguments[0]}});
      case Makes::kModule:
      case Makes::kNothing:
      case Makes::kStorage:
        break;
    }
    return wrong();
  }

  // cls.__new__(cls, *arguments): of the classes of the table modules alone are made so.
  absl::Status NewObject() {
    MASE_ASSIGN_OR_RETURN(const Id arguments, PopValue());
    MASE_ASSIGN_OR_RETURN(const Id type, PopValue());
    const bool fits = at(type).kind == Kind::kGlobal && at(arguments).kind == Kind::kTuple &&
                      GlobalOf(at(type)).makes == Makes::kModule && at(arguments).items.empty();
    if (!fits) return Damaged("an object of what is no module's class");
    return Push({.kind = Kind::kModule, .number = at(type).number, .text = at(type).text});
  }

  // A tuple of whole numbers.
  bool IsShape(Id id) {
    if (at(id).kind != Kind::kTuple) return false;
    items_ += static_cast<int64_t>(at(id).items.size());
    for (const Id item : at(id).items) {
      if (at(item).kind != Kind::kInt || !at(item).text.empty()) return false;
    }
    return true;
  }

  absl::Status PushDictOf(Id id) {
    PickleValue dict{.kind = Kind::kDict};
    if (at(id).kind == Kind::kDict) {
      dict.items = at(id).items;
    } else {
      for (const Id pair : at(id).items) {
        if (at(pair).items.size() != 2) return Damaged("a dict of what are no pairs");
        dict.items.insert(dict.items.end(), at(pair).items.begin(), at(pair).items.end());
      }
    }
    return Push(std::move(dict));
  }

  // PyTorch's way to name a storage: ("storage", type, key, device, length of it).
  absl::Status PersistentId() {
    MASE_ASSIGN_OR_RETURN(const Id id, PopValue());
    const std::vector<Id>& parts = at(id).items;
    const bool fits = at(id).kind == Kind::kTuple && parts.size() >= 5 &&
                      at(parts[0]).text == "storage" && at(parts[1]).kind == Kind::kGlobal &&
                      GlobalOf(at(parts[1])).makes == Makes::kStorage &&
                      at(parts[2]).kind == Kind::kText && at(parts[4]).kind == Kind::kInt;
    if (!fits) return Damaged("a persistent id that is no storage");
    // A part of another storage, as files before PyTorch 0.4 have them.
    if (parts.size() > 5 && at(parts[5]).kind != Kind::kNone) {
      return Refused("a view of a storage is not read");
    }
    return Push({.kind = Kind::kStorage, .text = at(parts[2]).text, .items = {parts[1], parts[4]}});
  }

  absl::Status SetItems(const std::vector<Id>& items) {
    MASE_ASSIGN_OR_RETURN(PickleValue * dict, Top(Kind::kDict, "a dict"));
    if (items.size() % 2 != 0) return Damaged("a key without a value");
    dict->items.insert(dict->items.end(), items.begin(), items.end());
    return absl::OkStatus();
  }

  absl::Status AppendItems(const std::vector<Id>& items) {
    MASE_ASSIGN_OR_RETURN(PickleValue * list, Top(Kind::kList, "a list"));
    list->items.insert(list->items.end(), items.begin(), items.end());
    return absl::OkStatus();
  }

  absl::Status Do(uint8_t op) {
    switch (op) {
      case kProto: {
        MASE_ASSIGN_OR_RETURN(const uint64_t version, TakeNumber(1));
        return version >= 2 && version <= 5 ? absl::OkStatus()
                                            : Damaged("protocol ", version, ", known are 2 to 5");
      }
      case kFrame:
        return TakeNumber(8).status();
      case kStop: {
        MASE_ASSIGN_OR_RETURN(pickle_.root_, PopValue());
        stopped_ = true;
        return absl::OkStatus();
      }
      case kMark:
        if (marks_.size() >= limits::kMaxPickleNesting) {
          return absl::ResourceExhaustedError(absl::StrCat(
              "pickle, byte ", op_at_, ": nested more than ", limits::kMaxPickleNesting, " deep"));
        }
        marks_.push_back(stack_.size());
        return absl::OkStatus();
      case kPop:
        return PopValue().status();
      case kPopMark:
        return PopToMark().status();
      case kNoneOp:
        return Push({});
      case kNewTrue:
      case kNewFalse:
        return Push({.kind = Kind::kInt, .number = op == kNewTrue});
      case kBinInt: {
        MASE_ASSIGN_OR_RETURN(const uint64_t bits, TakeNumber(4));
        return Push(
            {.kind = Kind::kInt, .number = static_cast<int32_t>(static_cast<uint32_t>(bits))});
      }
      case kBinInt1:
      case kBinInt2: {
        MASE_ASSIGN_OR_RETURN(const uint64_t number, TakeNumber(op == kBinInt1 ? 1 : 2));
        return Push({.kind = Kind::kInt, .number = static_cast<int64_t>(number)});
      }
      case kLong1:
        return PushLong(1);
      case kLong4:
        return PushLong(4);
      case kBinFloat:
        return PushFloat();
      case kBinUnicode:
      case kBinBytes:
      case kBinString:
        return PushText(4);
      case kShortBinUnicode:
      case kShortBinBytes:
      case kShortBinString:
        return PushText(1);
      case kBinUnicode8:
      case kBinBytes8:
        return PushText(8);
      case kEmptyTuple:
        return PushTuple(0);
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return PushTuple(op - kTuple1 + 1);
      case kTupleOp:
      case kFrozenSet: {
        MASE_ASSIGN_OR_RETURN(std::vector<Id> items, PopToMark());
        return Push(
            {.kind = op == kTupleOp ? Kind::kTuple : Kind::kList, .items = std::move(items)});
      }
      case kEmptyList:
      case kEmptySet:
        return Push({.kind = Kind::kList});
      case kEmptyDict:
        return Push({.kind = Kind::kDict});
      case kAppend: {
        MASE_ASSIGN_OR_RETURN(const Id item, PopValue());
        return AppendItems({item});
      }
      case kAppends:
      case kAddItems: {
        MASE_ASSIGN_OR_RETURN(const std::vector<Id> items, PopToMark());
        return AppendItems(items);
      }
      case kSetItem: {
        MASE_ASSIGN_OR_RETURN(const Id value, PopValue());
        MASE_ASSIGN_OR_RETURN(const Id key, PopValue());
        return SetItems({key, value});
      }
      case kSetItems: {
        MASE_ASSIGN_OR_RETURN(const std::vector<Id> items, PopToMark());
        return SetItems(items);
      }
      case kBinPut:
      case kLongBinPut: {
        MASE_ASSIGN_OR_RETURN(const uint64_t key, TakeNumber(op == kBinPut ? 1 : 4));
        return Put(key);
      }
      case kMemoize:
        return Put(memo_.size());
      case kBinGet:
      case kLongBinGet: {
        MASE_ASSIGN_OR_RETURN(const uint64_t key, TakeNumber(op == kBinGet ? 1 : 4));
        return Get(key);
      }
      case kGlobalOp: {
        MASE_ASSIGN_OR_RETURN(const absl::string_view module, TakeLine());
        MASE_ASSIGN_OR_RETURN(const absl::string_view name, TakeLine());
        return PushGlobal(module, name);
      }
      case kStackGlobal: {
        MASE_ASSIGN_OR_RETURN(const Id name, PopValue());
        MASE_ASSIGN_OR_RETURN(const Id module, PopValue());
        return PushGlobal(at(module).text, at(name).text);
      }
      case kReduce:
        return Reduce();
      case kBinPersId:
        return PersistentId();
      case kNewObj:
        return NewObject();
      case kBuild: {  // Sets fields of an object: an OrderedDict's _metadata, a dtype's byte order.
        MASE_ASSIGN_OR_RETURN(const Id fields, PopValue());
        if (available() == 0) return Damaged("the stack is empty");
        const Kind kind = at(stack_.back()).kind;
        if (kind == Kind::kModule) {
          if (at(fields).kind != Kind::kDict) return Damaged("fields of a module that are no dict");
          at(stack_.back()).items = {fields};
          return absl::OkStatus();
        }
        return kind == Kind::kDict || kind == Kind::kOther ? absl::OkStatus()
                                                           : Damaged("fields of what has none");
      }
      default:
        return Refused(absl::StrFormat("opcode 0x%02x", op),
                       " is none of those that make plain data");
    }
  }

  const absl::string_view bytes_;
  size_t at_ = 0;
  size_t op_at_ = 0;  // Of the opcode at hand.
  bool stopped_ = false;
  int64_t items_ = 0;  // Of all values when they were made.
  Pickle pickle_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  // Sizes of the stack.
  absl::flat_hash_map<uint64_t, Id> memo_;
};

absl::StatusOr<Pickle> Pickle::Parse(absl::string_view bytes) { return PickleMachine(bytes).Run(); }

const PickleValue* Pickle::Find(const PickleValue& dict, absl::string_view key) const {
  if (dict.kind != Kind::kDict) return nullptr;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& candidate = at(dict.items[i]);
    if (candidate.kind == Kind::kText && candidate.text == key) return &at(dict.items[i + 1]);
  }
  return nullptr;
}

bool Pickle::IsMaseQuantized(const PickleValue& module) const {
  return GlobalOf(module).module == kMaseQuantizedModules;
}

absl::string_view Pickle::ElementCodeOf(const PickleValue& storage) const {
  return GlobalOf(at(storage.items[0])).code;
}

}  // namespace mase
