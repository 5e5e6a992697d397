// The table of ops: everything the graph knows about an operation, in one entry.
//
// A new op is one entry in one of the ops_*.cc files and one kernel in
// mase/kernel; nothing else names ops. Names are MASE's `mase_op` names, which
// are PyTorch's functional names.
#ifndef MASE_GRAPH_OP_SCHEMA_H_
#define MASE_GRAPH_OP_SCHEMA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/attribute.h"
#include "mase/tensor/shape.h"

namespace mase {

// What shape inference knows of a value.
struct ValueInfo {
  DType dtype = DType::kFloat32;
  Shape shape;
  // The value of an integer scalar, where it follows from shapes alone (x.size(0)).
  std::optional<int64_t> constant;
};

// Fills the results' infos from the inputs' and the attributes. An error names
// shapes and attributes; the caller adds the node's name.
using ShapeRule = absl::StatusOr<std::vector<ValueInfo>> (*)(absl::Span<const ValueInfo> inputs,
                                                             const Attributes& attributes);

// A tensor that a module owns: its local name, shape and PyTorch initialisation.
struct ParameterSpec {
  enum class Init {
    kUniformFanIn,  // U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's Linear and Conv.
    kOnes,
    kZeros,
  };
  std::string name;
  Shape shape;
  Init init = Init::kZeros;
  int64_t fan_in = 0;  // For kUniformFanIn.
  bool buffer = false;
  DType dtype = DType::kFloat32;
};

// The tensors that a module with these attributes owns, in the order in which
// PyTorch creates and draws them.
using ParameterRule = std::vector<ParameterSpec> (*)(const Attributes& attributes);

// Arithmetic of one forward evaluation. A multiply-accumulate counts once in
// `macs`; all other arithmetic, in element operations, counts in `flops`.
struct OpCost {
  int64_t macs = 0;
  int64_t flops = 0;
};
using CostRule = OpCost (*)(absl::Span<const ValueInfo> inputs, absl::Span<const ValueInfo> results,
                            const Attributes& attributes);

struct ArgumentSpec {
  absl::string_view name;  // As in PyTorch's signature: "input", "other".
};

// An attribute's name, default and with it its type. Required ones have a
// `fallback` of the right type that is never used.
struct AttributeSpec {
  absl::string_view name;
  Attribute fallback;
  bool required = false;
};

struct OpSchema {
  absl::string_view name;  // "conv2d"
  // Class name of the module form ("Conv2d"); empty if there is none.
  absl::string_view module_class = {};
  // MASE's classification by node kind; empty if the op has no such form.
  absl::string_view module_type = {};  // "module_related_func", for call_module.
  absl::string_view function_type =
      {};  // "builtin_func", for call_function; methods are implicit_func.

  std::vector<ArgumentSpec> arguments = {};
  // Takes any number (>= 1) of further inputs of the last argument's kind (cat).
  bool variadic = false;
  // How many trailing arguments may be left out.
  int optional_arguments = 0;
  std::vector<AttributeSpec> attributes = {};
  int results = 1;

  bool quantizable = false;
  ShapeRule shape_rule = nullptr;
  ParameterRule parameter_rule = nullptr;  // Null: owns nothing.
  CostRule cost_rule = nullptr;            // Null: free.

  // The module's text inside the parentheses as PyTorch prints it; {name} stands
  // for an attribute, and [name: text] for text that is printed only where the
  // attribute differs from its default.
  absl::string_view repr = "";
};

// The entry of an op, or null.
const OpSchema* FindOp(absl::string_view name);

// The entry of an op; NotFound with the nearest known name.
absl::StatusOr<const OpSchema*> LookUpOp(absl::string_view name);

// All entries, sorted by name.
absl::Span<const OpSchema* const> AllOps();

// "Linear(in_features=16, out_features=5, bias=True)": with
// `class_name` in place of the schema's when not empty (LinearInteger).
std::string ModuleRepr(const OpSchema& schema, const Attributes& attributes,
                       absl::string_view class_name);

}  // namespace mase

#endif  // MASE_GRAPH_OP_SCHEMA_H_
