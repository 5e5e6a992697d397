// The classes and functions that a pickle may name (pickle.h), and what calling them gives. Nobody
// calls the functions themselves.
#ifndef MASE_INTEROP_PICKLE_GLOBALS_H_
#define MASE_INTEROP_PICKLE_GLOBALS_H_

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace mase {

// What calling a class or function of the table gives.
enum class PickleMakes {
  kDict,      // Empty, or of the one argument, a dict or list of pairs.
  kList,      // Of the one argument.
  kArgument,  // The first argument: torch.Size(tuple), a parameter's tensor, bytes of a text.
  kTensor,    // Of a storage, offset, sizes and strides.
  kOther,
  kModule,       // An object of a layer's class, whose fields are set later.
  kGraphModule,  // A module whose fields are the first argument.
  kNothing,      // Not called: a class that a field names.
  kStorage,      // Not called: the type of a storage.
};

struct PickleGlobal {
  absl::string_view module;
  absl::string_view name;  // "": whatever is in a module whose name begins so.
  PickleMakes makes;
  absl::string_view code = "";  // Of a storage's elements (element_type.h).
};

// Where MASE's quantized layers are.
inline constexpr absl::string_view kMaseQuantizedModules = "chop.nn.quantized.modules.";

// The place in the table of what a pickle names; none if it is not there, and so is refused.
std::optional<size_t> FindPickleGlobal(absl::string_view module, absl::string_view name);

// What stands at a place of the table.
const PickleGlobal& PickleGlobalAt(size_t place);

}  // namespace mase

#endif  // MASE_INTEROP_PICKLE_GLOBALS_H_
