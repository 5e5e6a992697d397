// MASE's "common" metadata of a node: classification, shapes, types, precision.
//
// A pass that quantizes or rewires nodes calls these to keep the notes true.
#ifndef MASE_PASS_COMMON_METADATA_H_
#define MASE_PASS_COMMON_METADATA_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "proto/metadata.pb.h"

namespace mase {

// Everything that CommonMetadata has, for one node and the batch of `shapes`.
// Arguments are the data inputs data_in_0, data_in_1, ..., then the trained tensors
// (weight, bias); none for placeholders, get_attr and output. Results are
// data_out_0, ...; the output node repeats what it is given. Tensors are "float"
// with their width, or of the format in the node's quantization record.
absl::StatusOr<CommonMetadata> DescribeNode(const Graph& graph, const Node& node,
                                            const InferredShapes& shapes);

// Rewrites types and precisions in the node's common metadata (where it has any)
// after its quantization record changed.
absl::Status UpdatePrecision(Node& node);

// The entry of that name, "data_in_0" or "weight"; null if there is none.
const TensorMetadata* FindArgument(const CommonMetadata& common, absl::string_view name);
const TensorMetadata* FindResult(const CommonMetadata& common, absl::string_view name);

}  // namespace mase

#endif  // MASE_PASS_COMMON_METADATA_H_
