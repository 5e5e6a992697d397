// Graphs to and from their file format (proto/graph.proto) and text.
#ifndef MASE_GRAPH_GRAPH_IO_H_
#define MASE_GRAPH_GRAPH_IO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "proto/graph.pb.h"

namespace mase {

enum class TensorData {
  kInline,   // Elements in TensorProto.data.
  kOmitted,  // Names, types and shapes only; the elements are stored elsewhere.
};

// The canonical form: the same graph gives the same message, byte for byte when
// serialized deterministically.
GraphProto GraphToProto(const Graph& graph, TensorData data);

// The reverse, for files from anywhere. Nodes may be in any order; they are
// brought into a topological one that keeps the file's order where it can.
// Tensors without data are zero. The result has passed VerifyGraph.
//
// InvalidArgument (naming node or tensor): unknown version, op, attribute or
// kind, duplicate name, dangling input, cycle, missing or extra tensor, data of
// the wrong length, anything the verifier refuses. ResourceExhausted: limits.
absl::StatusOr<Graph> GraphFromProto(const GraphProto& proto);

// Text proto, and back. Parse errors are InvalidArgument with line and column.
std::string GraphToText(const Graph& graph);
absl::StatusOr<Graph> GraphFromText(absl::string_view text);

// One tensor by itself, trained, and back. Without data it is zero; InvalidArgument or
// ResourceExhausted as above.
TensorProto TensorToProto(absl::string_view name, const Tensor& tensor, TensorData data);
absl::StatusOr<Tensor> TensorFromProto(const TensorProto& proto);

// One node as the file has it, notes included.
NodeProto NodeToProto(const Node& node);

}  // namespace mase

#endif  // MASE_GRAPH_GRAPH_IO_H_
