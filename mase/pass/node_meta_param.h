// The notes on a graph's nodes (proto/metadata.proto: common and software) as files.
//
// As TOML, in the shape of MASE's node_meta_param.toml; "NA" stands for None:
//
//   [seq_blocks_2.common]
//   mase_type = "module_related_func"
//   mase_op = "linear"
//   [seq_blocks_2.common.args.data_in_0]
//   shape = [8, 16]
//   torch_dtype = "float32"
//   type = "integer"
//   precision = [8, 4]
//   [seq_blocks_2.software.args.data_in_0.stat.range_min_max]
//   min = -1.5
//
// and as a text proto: a GraphProto whose nodes have names and metadata alone. Quantization records
// are no notes: they are part of the graph, and neither written nor read here.
#ifndef MASE_PASS_NODE_META_PARAM_H_
#define MASE_PASS_NODE_META_PARAM_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"

namespace mase {

enum class NodeMetaFormat { kToml, kTextProto };

// By the end of a file's name: ".toml", ".textproto" or ".txtpb". InvalidArgument for others.
absl::StatusOr<NodeMetaFormat> NodeMetaFormatOf(absl::string_view file);

// Nodes in the graph's order.
std::string WriteNodeMeta(const Graph& graph, NodeMetaFormat format);

// Replaces the notes of the nodes that the text has; others keep theirs. Nothing changes on error:
// InvalidArgument, with the file's name and where it can be the line, for text that is no such
// file; NotFound, with the nearest name, for a node that the graph has not.
absl::Status ReadNodeMeta(absl::string_view text, absl::string_view file, NodeMetaFormat format,
                          Graph& graph);

}  // namespace mase

#endif  // MASE_PASS_NODE_META_PARAM_H_
