// A graph as text that people read and write, one line per node:
//
//   graph jsc-tiny
//   x = placeholder() : f32[8, 16]
//   norm = batch_norm1d(x, num_features=16) @seq_blocks.0 : f32[8, 16]
//   relu = relu(norm) @seq_blocks.1 : f32[8, 16]
//   linear = linear(relu, in_features=16, out_features=5) @seq_blocks.2 : f32[8, 5]
//     quantized integer class Integer
//     data_in = integer { width: 8 frac_width: 4 }
//     weight = integer { width: 8 frac_width: 4 }
//   output = output(linear)
//
// A line is NAME = [KIND] OP(INPUTS, ATTRIBUTES, TENSORS) [@TARGET] [: TYPE].
//
//   KIND        function, method, module or get_attr. Left out where it is what the op is most
//               often: a module if PyTorch has one of it, else a function, else a method.
//   ATTRIBUTES  name=value in Python's spelling: True, 3, 1e-05, (3, 3); strings in "". Those that
//               have their default are left out.
//   TENSORS     name=%tensor for each tensor that the node owns. Left out where they are called
//               TARGET.weight, TARGET.bias, ...
//   TARGET      Left out where it is NAME (of a function or method: OP).
//   TYPE        Element type and shape of the result for the graph's own batch. A placeholder's
//               says its shape; elsewhere it is optional and checked.
//
// Indented lines continue a node: its quantization record, in the text form of FormatProto. A line
// "tensor NAME : TYPE [buffer]" before the nodes names a tensor; such lines are needed only for
// tensors that no node owns, or to give another order than that of the nodes that own them. '#'
// begins a comment. A name that holds other characters than letters, digits and "_.-/" is written
// in "" with C's escapes.
//
// The text holds everything that Graph::version() covers but for the elements of tensors, which
// read as zeros, so it comes back as it was written. Notes on nodes are no part of it. Whole graphs
// are kept in checkpoints (mase/model/checkpoint.h), in the form of proto/graph.proto.
#ifndef MASE_GRAPH_GRAPH_TEXT_H_
#define MASE_GRAPH_GRAPH_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"

namespace mase {

// Also of a graph that is broken; types are left out where they cannot be inferred.
std::string WriteGraphText(const Graph& graph);

// The reverse, for text from anywhere. Nodes read only nodes above them. The result has passed
// VerifyGraph. InvalidArgument or NotFound, beginning "graph text LINE:COLUMN: ", for text that is
// no graph, unknown names (with the nearest one) and shapes that do not fit; VerifyGraph's errors,
// which name the node. ResourceExhausted: limits.
absl::StatusOr<Graph> ReadGraphText(absl::string_view text);

}  // namespace mase

#endif  // MASE_GRAPH_GRAPH_TEXT_H_
