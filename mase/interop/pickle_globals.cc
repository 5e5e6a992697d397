#include "mase/interop/pickle_globals.h"

#include <iterator>

#include "absl/strings/match.h"

namespace mase {
namespace {

using Makes = PickleMakes;

constexpr PickleGlobal kGlobals[] = {
    {"collections", "OrderedDict", Makes::kDict},
    {"collections", "Counter", Makes::kDict},
    {"__builtin__", "set", Makes::kList},
    {"builtins", "set", Makes::kList},
    {"_codecs", "encode", Makes::kArgument},
    {"torch", "Size", Makes::kArgument},
    {"torch", "device", Makes::kOther},
    {"torch._utils", "_rebuild_tensor", Makes::kTensor},
    {"torch._utils", "_rebuild_tensor_v2", Makes::kTensor},
    {"torch._utils", "_rebuild_parameter", Makes::kArgument},
    {"numpy", "dtype", Makes::kOther},
    {"numpy.core.multiarray", "scalar", Makes::kOther},
    {"numpy._core.multiarray", "scalar", Makes::kOther},
    {"torch", "float16", Makes::kOther},
    {"torch", "float32", Makes::kOther},
    {"torch", "float64", Makes::kOther},
    {"torch", "bfloat16", Makes::kOther},
    {"torch", "int8", Makes::kOther},
    {"torch", "int16", Makes::kOther},
    {"torch", "int32", Makes::kOther},
    {"torch", "int64", Makes::kOther},
    {"torch", "uint8", Makes::kOther},
    {"torch", "bool", Makes::kOther},
    {"torch", "FloatStorage", Makes::kStorage, "F32"},
    {"torch", "DoubleStorage", Makes::kStorage, "F64"},
    {"torch", "HalfStorage", Makes::kStorage, "F16"},
    {"torch", "BFloat16Storage", Makes::kStorage, "BF16"},
    {"torch", "LongStorage", Makes::kStorage, "I64"},
    {"torch", "IntStorage", Makes::kStorage, "I32"},
    {"torch", "ShortStorage", Makes::kStorage, "I16"},
    {"torch", "CharStorage", Makes::kStorage, "I8"},
    {"torch", "ByteStorage", Makes::kStorage, "U8"},
    {"torch", "BoolStorage", Makes::kStorage, "BOOL"},
    // torch.fx.GraphModule: its fields, the text of its code, and who traced it (MASE's own in
    // .mz).
    {"torch.fx.graph_module", "reduce_graph_module", Makes::kGraphModule},
    {"torch.fx._symbolic_trace", "Tracer", Makes::kNothing},
    {"chop.ir.graph.mase_graph", "MaseTracer", Makes::kNothing},
    {"torch.nn.modules.", "", Makes::kModule},
    // MASE's quantized layers, whose fields name the functions that round, with their numbers.
    {kMaseQuantizedModules, "", Makes::kModule},
    {"chop.nn.quantizers.", "", Makes::kNothing},
    {"chop.nn.quantized.utils", "quantiser_passthrough", Makes::kNothing},
    {"functools", "partial", Makes::kOther},
};

bool Names(const PickleGlobal& global, absl::string_view module, absl::string_view name) {
  return global.name.empty() ? absl::StartsWith(module, global.module)
                             : global.module == module && global.name == name;
}

}  // namespace

std::optional<size_t> FindPickleGlobal(absl::string_view module, absl::string_view name) {
  for (size_t i = 0; i < std::size(kGlobals); ++i) {
    if (Names(kGlobals[i], module, name)) return i;
  }
  return std::nullopt;
}

const PickleGlobal& PickleGlobalAt(size_t place) { return kGlobals[place]; }

}  // namespace mase
