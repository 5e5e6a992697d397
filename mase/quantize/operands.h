// The operands of a node: which of its tensors belong to which, which format the record has for
// one, and how a block format gets to see it. MASE's rules for its quantized operators and modules,
// in one place for what makes records and for what runs, measures and describes them.
//
//   for (const Operand& operand : OperandsOf(node)) {
//     if (operand.format == nullptr) continue;  // It stays float.
//     ...
//   }
#ifndef MASE_QUANTIZE_OPERANDS_H_
#define MASE_QUANTIZE_OPERANDS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/format/format.h"
#include "mase/graph/graph.h"
#include "mase/graph/operands.h"
#include "mase/graph/shape_inference.h"
#include "proto/format.pb.h"
#include "proto/metadata.pb.h"

namespace mase {

// Inputs, then tensors of the module that a record can round, then results, as OperandsByTable.
// Under REFERENCE semantics, which the node's record has, tensors have MASE's roles (reference.h):
// none in most norms; in batch_norm1d running_mean is a weight and running_var a bias, too.
std::vector<Operand> OperandsOf(const Node& node);
// The same for a record that the node is yet to get.
std::vector<Operand> OperandsOf(const Node& node, bool reference);

// The tensor of the node's module that the operand is, or null: an input, a result, a role that the
// op has not. Under REFERENCE semantics the first one.
const Parameter* FindParameter(const Node& node, absl::string_view operand);

// InvalidArgument if the format has own grids (format/own_grids.h) and the operand no tensor of the
// module that they could be those of.
absl::Status CheckOwnGrids(const Node& node, absl::string_view operand, const FormatProto& format);

// The name of an operand's entry in metadata: "data_in_1", "weight", "data_out_0".
std::string EntryName(const Node& node, const Operand& operand);

// "integer data_in 8/4, weight 8/4": the operands that a record rounds, with their precision.
std::string DescribeRecord(const Quantization& record);

// Whether every index of an operand's first axis has blocks of its own, where the config leaves
// `skip_first_dim` open: the op decides, for some by the rank of the tensor, for add, sub and mul
// by that of the first input.
bool SkipsFirstDim(const Node& node, absl::string_view operand, const Shape& shape,
                   const InferredShapes& shapes);

// Sets `skip_first_dim` of a block format that leaves it open; others stay.
void FillSkipFirstDim(bool skips, FormatProto* format);

// A tensor as its format is to see it.
struct OperandView {
  std::shared_ptr<const Format> format;  // One for all views of that description.
  Shape shape;
};

// `shape` is that of a tensor of the operand, `shapes` are those of the graph. Fills in
// `skip_first_dim`, gives inputs of add, sub and mul as many axes as the result has (ones in
// front), and under REFERENCE semantics folds axes for block formats where MASE does: the operands
// of a conv2d, relu, selu or silu module become [N C, H, W]; those of functions, where they have
// more than two axes, three. What MASE does not fold and cannot take is left for the format to
// refuse. Errors of Format::Create.
absl::StatusOr<OperandView> ViewOperand(const Node& node, absl::string_view operand,
                                        const FormatProto& format, const Shape& shape,
                                        const InferredShapes& shapes);

}  // namespace mase

#endif  // MASE_QUANTIZE_OPERANDS_H_
