// The operands of a node: each tensor that it reads or makes, with the role that the table of ops
// (op_schema.h) gives it and the format that the node's record has for that role.
//
// This is what the table alone says, all that the graph itself needs. Whoever rounds, measures or
// describes operands asks OperandsOf (quantize/operands.h), which knows MASE's exceptions, too.
#ifndef MASE_GRAPH_OPERANDS_H_
#define MASE_GRAPH_OPERANDS_H_

#include <vector>

#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/op_schema.h"
#include "proto/format.pb.h"

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
// role: both inputs of a sum are data_in. `tensor_roles` are in place of the op's own.
std::vector<Operand> OperandsByTable(const Node& node, const std::vector<TensorRole>& tensor_roles);
std::vector<Operand> OperandsByTable(const Node& node);

// The record's format of an operand, or null where it stays float.
const FormatProto* FindFormat(const Node& node, absl::string_view operand);

}  // namespace mase

#endif  // MASE_GRAPH_OPERANDS_H_
