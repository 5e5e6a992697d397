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

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "proto/format.pb.h"
#include "proto/metadata.pb.h"

namespace mase {

// A tensor that the node reads or makes.
struct Operand {
  enum class Source { kInput, kTensor, kResult };

  absl::string_view role;  // operands::kDataIn, kWeight, kBias or kDataOut.
  Source source = Source::kInput;
  int index = 0;                        // In node.inputs(), parameters() or outputs().
  const FormatProto* format = nullptr;  // The record's, which owns it; null: it stays float.
};

// Inputs, then tensors of the module that a record can round, then results. Several may have one
// role: both inputs of a sum are data_in. Which tensors those are follows the record: see
// TensorOperand.
std::vector<Operand> OperandsOf(const Node& node);

// The name of an operand's entry in metadata: "data_in_1", "weight", "data_out_0".
std::string EntryName(const Node& node, const Operand& operand);

// The operand that data input `input` of the node belongs to: "data_in", or "weight" for the second
// input of a product.
absl::string_view InputOperand(const Node& node, int input);

// The operand that a tensor of the node's module belongs to; empty if it stays float whatever the
// record says. Under EXACT semantics that is the table of ops' answer, under REFERENCE MASE's
// (reference.h): nothing of most norms, and of batch_norm1d also running_mean (as weight) and
// running_var (as bias).
absl::string_view TensorOperand(const Node& node, absl::string_view tensor, bool reference);

// The record's format of an operand, or null where it stays float.
const FormatProto* FindFormat(const Node& node, absl::string_view operand);

// "integer data_in 8/4, weight 8/4": the operands that a record rounds, with their precision.
std::string DescribeRecord(const Quantization& record);

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
// front), and under REFERENCE semantics folds axes for block formats where MASE does: the operands
// of a conv2d, relu, selu or silu module become [N C, H, W]; those of functions, where they have
// more than two axes, three. What MASE does not fold and cannot take is left for the format to
// refuse.
OperandView ViewOperand(const Node& node, absl::string_view operand, const FormatProto& format,
                        const Shape& shape, const InferredShapes& shapes);

}  // namespace mase

#endif  // MASE_QUANTIZE_OPERANDS_H_
