// What of REFERENCE semantics belongs to ops and not to formats: which nodes MASE's pass takes, in
// which formats, and where its quantized modules compute something else than the float ones.
//
// All of it is one table, a row an op (reference.cc). Rules ask it when they make a record, and
// refuse there what MASE lacks or fails in; the executor asks it through the functions below.
#ifndef MASE_QUANTIZE_REFERENCE_H_
#define MASE_QUANTIZE_REFERENCE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/shape_inference.h"

namespace mase {

// The state of MASE whose `quantize` pass is followed. Both round alike; the later one knows more
// ops. The course reports of January and February 2024 were made with the first.
enum class MaseVersion { kFebruary2024, kApril2026 };

// A row of the table.
struct ReferenceOp {
  using Names = std::vector<absl::string_view>;

  absl::string_view op;
  // The first state whose pass takes nodes of this op by itself; none: only a rule that names the
  // op or the node does, for modules that MASE has and its pass does not reach.
  std::optional<MaseVersion> taken_since;
  // Formats that it has in working order, of functions and of modules.
  Names functions, modules;

  // Formats in which the second input of a product is forgotten.
  Names without_second_input = {};
  // Formats in which weight and bias are rounded by the input's keys.
  Names all_by_input = {};
  // Formats in which all operands have the bias's blocks.
  Names blocks_of_bias = {};
  // Integers are unsigned unless told otherwise: whatever is below 0 becomes 0.
  bool is_unsigned = false;
  // Block formats see the tensors of a module as [N C, H, W].
  bool folds_modules = false;
  // The operands of a module's tensors; unset: as in the table of ops.
  std::optional<std::vector<TensorRole>> tensor_roles = std::nullopt;
  // Weight and bias play no part at all.
  bool drops_affine = false;
  // In place of the attribute.
  std::optional<double> eps = std::nullopt;
  // An attribute that must be false.
  absl::string_view refused_flag = "";
  // Shapes at which MASE fails: a sentence after "MASE's <op> module ", or "".
  std::string (*limit)(const Node& node, absl::string_view format,
                       const InferredShapes& shapes) = nullptr;
};

// The row of an op, or null where MASE has none.
const ReferenceOp* FindReferenceOp(absl::string_view op);

// Whether MASE's pass takes nodes of this op that a default or a regular expression reaches.
bool IsTaken(absl::string_view op, MaseVersion version);

// Whether the node's record asks for MASE's own arithmetic.
bool IsReference(const Node& node);

// InvalidArgument, saying what there is instead, where MASE has no such op in this format, or has
// one that only fails. `format` is a format's name or alias.
absl::Status CheckReference(const Node& node, absl::string_view format,
                            const InferredShapes& shapes);

// The attributes by which the node computes: its own, but MASE's quantized layer_norm has
// eps = 1e-5 whatever it is told.
Attributes EffectiveAttributes(const Node& node);

// Whether the node computes without this tensor of its module: MASE's quantized group_norm drops
// its weight and bias.
bool IgnoresTensor(const Node& node, absl::string_view tensor);

}  // namespace mase

#endif  // MASE_QUANTIZE_REFERENCE_H_
