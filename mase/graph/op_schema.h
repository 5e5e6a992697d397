// The table of ops: everything the graph knows about an operation, in one entry.
//
// A new op is one name in ops.h, one entry in one of the ops_*.cc files and one kernel in
// mase/kernel; or it comes with a plugin (op_function.h). Fusion, quantization, calibration,
// training and checks ask for its traits and roles here; a test (facts_test) sees to it that they
// name no op themselves.
//
//   if (node.Is(OpTrait::kNorm)) ...
//   for (const TensorRole& role : node.schema().tensor_roles) ...
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
#include "mase/graph/ops.h"
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

// A tensor that a module owns: its local name, shape and PyTorch initialization.
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

// Whose way of counting arithmetic; docs/costs.md compares them.
enum class CostConvention : uint32_t {
  kMac = 1 << 0,   // MASE's estimator: a multiply-accumulate counts once.
  kFlop = 1 << 1,  // The DeepSpeed profiler: it counts as two, and norms run by stored statistics.
};

// Arithmetic of one forward evaluation, in whole operations.
struct OpCost {
  int64_t macs = 0;   // Multiply-accumulates: the same in all conventions.
  int64_t other = 0;  // All other arithmetic, as CostConvention::kMac counts it.
  int64_t flops = 0;  // The same as CostConvention::kFlop counts it.
};

// How an op is counted. Text and function say the same; n is the number of elements of the first
// input, m that of the result.
struct CostRule {
  absl::string_view other = {};  // "4 n", for docs/ops.md.
  absl::string_view flops = {};  // "2 n".
  OpCost (*count)(absl::Span<const ValueInfo> inputs, absl::Span<const ValueInfo> results,
                  const Attributes& attributes) = nullptr;  // Null: free.
  // CostConvention bits: those whose authors say what this op costs. In others the rule is ours.
  uint32_t published = 0;

  bool Publishes(CostConvention convention) const {
    return (published & static_cast<uint32_t>(convention)) != 0;
  }
};

// What an op is, as bits of OpSchema::traits.
enum class OpTrait : uint32_t {
  kWeighted = 1 << 0,       // Sums products of its input and a weight of its own.
  kOutputsFirst = 1 << 1,   // Axis 0 of that weight are the outputs, the others are summed over.
  kConvolution = 1 << 2,    // A layer that slides its weight over the input (not transposed).
  kProduct = 1 << 3,        // Sums products of two inputs, the second in the part of a weight.
  kNorm = 1 << 4,           // Takes mean or size out of groups of elements.
  kBatchNorm = 1 << 5,      // A norm over the batch: in training by its statistics, else by stored.
  kActivation = 1 << 6,     // A function of each element.
  kCutsNegatives = 1 << 7,  // An activation that gives 0 for everything below 0.
  kArithmetic = 1 << 8,     // A function of two elements, of inputs that broadcast.
  kPool = 1 << 9,           // One element of each window, or their mean.
  kRenames = 1 << 10,       // The input's elements in their order under another shape: no work.
  kRenamesAtRest = 1 << 11,  // The same outside of training.
  kFromShapes = 1 << 12,     // A number that shapes know: no tensor is read.
  // A batch norm right after takes away what a bias adds, which so has no gradient.
  kBiasLostBeforeNorm = 1 << 13,
  kStored = 1 << 14,  // A tensor of the graph itself: no work.
};
constexpr uint32_t operator|(OpTrait a, OpTrait b) {
  return static_cast<uint32_t>(a) | static_cast<uint32_t>(b);
}
constexpr uint32_t operator|(uint32_t a, OpTrait b) { return a | static_cast<uint32_t>(b); }

// Element types that an op's tensor inputs may have; shape inference refuses others. A result has
// the first input's type unless the shape rule says otherwise.
enum class InputTypes {
  kFloat,  // float32
  kAny,    // Elements are moved or looked up, not computed with.
  kIds,    // int64: rows of a table.
};

// An input: its name in PyTorch's signature ("input", "other"), and the operand it belongs to.
struct ArgumentSpec {
  absl::string_view name;
  absl::string_view operand = operands::kDataIn;
};

// The operand that a tensor of the module belongs to.
struct TensorRole {
  absl::string_view tensor;  // As in ParameterSpec: "weight".
  absl::string_view operand;
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
  // One line: what the op computes, for docs/ops.md.
  absl::string_view doc = {};
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

  uint32_t traits = 0;  // OpTrait bits.
  InputTypes input_types = InputTypes::kFloat;
  // The module's tensors that a record can round. Others (running statistics) stay float.
  std::vector<TensorRole> tensor_roles = {};
  bool quantizable = false;
  ShapeRule shape_rule = nullptr;
  ParameterRule parameter_rule = nullptr;  // Null: owns nothing.
  CostRule cost = {};

  // The module's text inside the parentheses as PyTorch prints it; {name} stands
  // for an attribute, and [name: text] for text that is printed only where the
  // attribute differs from its default.
  absl::string_view repr = "";

  bool Is(OpTrait trait) const { return (traits & static_cast<uint32_t>(trait)) != 0; }
  // The operand that input `input` belongs to (a variadic op's last argument repeats).
  absl::string_view InputOperand(int input) const;
  // The operand of a module's tensor; empty if it always stays float.
  absl::string_view TensorOperand(absl::string_view tensor) const;
};

// The entry of an op, or null.
const OpSchema* FindOp(absl::string_view name);

// The entry of an op; NotFound with the nearest known name.
absl::StatusOr<const OpSchema*> LookUpOp(absl::string_view name);

// All entries, sorted by name. A snapshot that stays good.
absl::Span<const OpSchema* const> AllOps();

// Whether a plugin's op can be put into the table: InvalidArgument if its name is no word of small
// letters, digits and '_', it has no shape rule, no argument or another number of results than one;
// AlreadyExists if its name or its class name is taken.
absl::Status CheckPluginOp(const OpSchema& schema);
// Puts it there. Its texts live as long as the program. Errors of CheckPluginOp.
absl::Status RegisterOp(OpSchema schema);

// "Linear(in_features=16, out_features=5, bias=True)": with
// `class_name` in place of the schema's when not empty (LinearInteger).
std::string ModuleRepr(const OpSchema& schema, const Attributes& attributes,
                       absl::string_view class_name);

}  // namespace mase

#endif  // MASE_GRAPH_OP_SCHEMA_H_
