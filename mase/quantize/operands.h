// The operands of a quantised node: which of its tensors belong to which, which format the record
// has for one, and how a block format gets to see it. MASE's rules for its quantised operators and
// modules, in one place for what makes records and for what runs them.
#ifndef MASE_QUANTIZE_OPERANDS_H_
#define MASE_QUANTIZE_OPERANDS_H_

#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "proto/format.pb.h"

namespace mase {

// Kinds of ops that the rules treat alike.
bool IsLayer(absl::string_view op);       // linear, conv1d, conv2d
bool IsProduct(absl::string_view op);     // matmul, bmm
bool IsArithmetic(absl::string_view op);  // add, sub, mul
bool IsActivation(absl::string_view op);  // relu, gelu, ...

// The operand that data input `input` of the node belongs to: "data_in", or "weight" for the second
// input of a product.
absl::string_view InputOperand(const Node& node, int input);

// The operand that a tensor of the node's module belongs to; empty if it stays float whatever the
// record says. Under EXACT semantics "weight" and "bias" are rounded. Under REFERENCE, as MASE
// does: not those of batch_norm2d, layer_norm, group_norm and instance_norm2d, and of batch_norm1d
// also running_mean (as weight) and running_var (as bias).
absl::string_view TensorOperand(const Node& node, absl::string_view tensor, bool reference);

// The record's format of an operand, or null where it stays float.
const FormatProto* FindFormat(const Node& node, absl::string_view operand);

// Whether every index of an operand's first axis has blocks of its own, where the config leaves
// `skip_first_dim` open: the op decides, for some by the rank of the tensor, for add, sub and mul
// by that of the first input.
bool SkipsFirstDim(const Node& node, absl::string_view operand, const Shape& shape,
                   const InferredShapes& shapes);

// Sets `skip_first_dim` of a block format that leaves it open; others stay.
void FillSkipFirstDim(bool skips, FormatProto* format);

// A format for a tensor as the format is to see it.
struct OperandView {
  FormatProto format;
  Shape shape;
};

// `shape` is that of a tensor of the operand, `shapes` are those of the graph. Fills in
// `skip_first_dim`, gives inputs of add, sub and mul as many axes as the result has (ones in
// front), and under REFERENCE semantics folds axes for block formats where MASE does: a conv2d's
// operands become [N C, H, W]; those of functions, where they have more than two axes, three. What
// MASE does not fold and cannot take is left for the format to refuse.
OperandView ViewOperand(const Node& node, absl::string_view operand, const FormatProto& format,
                        const Shape& shape, const InferredShapes& shapes);

}  // namespace mase

#endif  // MASE_QUANTIZE_OPERANDS_H_
