// Quantization records of what ONNX says by QuantizeLinear and DequantizeLinear.
#ifndef MASE_ONNX_ROUNDING_H_
#define MASE_ONNX_ROUNDING_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/onnx/importer.h"

namespace mase {

// Has the node's operand rounded as the format says. Unimplemented where its op takes no record, or
// the operand has another format.
absl::Status RoundOperand(Graph& graph, Node* node, absl::string_view operand,
                          const FormatProto& format);

// The same for whatever reads `value`: rounds the result of the node that makes it. Unimplemented
// where others read that unrounded.
absl::Status RoundResult(Importer& importer, const OnnxValue& value);

// Rounds what the nodes from id `first_new` on, which are made of `proto`, read of values that are
// marked so; or has the mark go through.
absl::Status RoundInputs(Importer& importer, const ::onnx::NodeProto& proto, bool keeps_rounding,
                         int first_new);

// Names the formats of all records: those that are integers with a power of two as step are called
// so, others are affine.
void NameFormats(Graph& graph);

}  // namespace mase

#endif  // MASE_ONNX_ROUNDING_H_
