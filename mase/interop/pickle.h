// Python pickles as data: lists, dicts, texts, numbers and tensors of PyTorch's files.
//
// A pickle is a program for a stack machine that can call any function of Python. This reader runs
// none: it knows the opcodes that build plain values, and a table of classes and functions whose
// results are plain values too (collections.OrderedDict, torch._utils._rebuild_tensor_v2, ...).
// Modules of torch.nn are values, too: the dict of their fields, which nobody calls; so are MASE's
// quantized layers (chop.nn.quantized.modules), with the functions that their fields name, and a
// torch.fx.GraphModule, whose code is a text that nobody reads.
// Anything else is refused by its name and the byte where it stands. The opcodes are those of
// CPython's Lib/pickletools.py, protocols 2 to 5.
//
//   MASE_ASSIGN_OR_RETURN(const Pickle pickle, Pickle::Parse(bytes));
//   for (size_t i = 0; i + 1 < pickle.root().items.size(); i += 2) ...   // A dict.
#ifndef MASE_INTEROP_PICKLE_H_
#define MASE_INTEROP_PICKLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kInt,  // Also a bool; one of more than 64 bits has its bytes in `text`.
    kFloat,
    kText,     // UTF-8, or bytes.
    kTuple,    // A tuple or torch.Size,
    kList,     // or a set.
    kDict,     // items are key, value, key, value, ...
    kGlobal,   // A class or function of the table: `number` is its place there, `text` its name.
    kStorage,  // PyTorch's: `text` is its key; items are the type (a kGlobal) and its length
               // (kInt).
    kTensor,   // items are kStorage, offset (kInt), sizes and strides (kTuple of kInt).
    kModule,   // A layer or a GraphModule: `text` is its class's name, items are its fields (a
               // kDict), once they are set.
    kOther,    // A device, NumPy scalar or dtype: data that nobody here reads.
  };
  using Id = uint32_t;

  Kind kind = Kind::kNone;
  int64_t number = 0;
  double real = 0;
  absl::string_view text;  // In the bytes that were parsed.
  std::vector<Id> items;
};

// All values that a pickle made. They may share parts and may be in themselves: whoever walks
// them bounds how deep.
class Pickle {
 public:
  // Reads one pickle from the beginning of `bytes`, which must outlive the result. DataLoss: not a
  // pickle, damaged. InvalidArgument: one that wants code to run or a class that is not in the
  // table. ResourceExhausted: the limits of base/limits.h. All name the byte.
  static absl::StatusOr<Pickle> Parse(absl::string_view bytes);

  const PickleValue& root() const { return at(root_); }
  const PickleValue& at(PickleValue::Id id) const { return values_[id]; }
  PickleValue::Id values() const { return static_cast<PickleValue::Id>(values_.size()); }
  size_t size() const { return size_; }  // Bytes of `bytes` that the pickle is.

  // The value of a dict under a key; null if there is none or `dict` is none.
  const PickleValue* Find(const PickleValue& dict, absl::string_view key) const;

  // Whether a kModule is one of MASE's quantized layers.
  bool IsMaseQuantized(const PickleValue& module) const;

  // The code (interop/element_type.h) of the elements of a storage's type.
  absl::string_view ElementCodeOf(const PickleValue& storage) const;

 private:
  friend class PickleMachine;

  std::vector<PickleValue> values_;
  PickleValue::Id root_ = 0;
  size_t size_ = 0;
};

}  // namespace mase

#endif  // MASE_INTEROP_PICKLE_H_
