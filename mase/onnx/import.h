// An ONNX file as a Graph.
//
//   MASE_ASSIGN_OR_RETURN(ImportedNet net, ImportOnnx("model.onnx"));
//   for (const std::string& note : net.notes) ...
//
// Every op of ONNX that can be read is a row of a table (onnx_ops.h; docs/reference/onnx.md is made
// of it), which says by ops of our own table what it computes. What depends on constants and shapes
// alone is computed here. Layers get the names of their weights ("fc1.weight" makes "fc1"), other
// nodes those of the file.
//
// Axis 0 of the inputs are the rows. A file with a fixed number of them is read as one for any
// number where its ops allow that; else the net runs on that many rows alone, which a note says.
// QuantizeLinear and DequantizeLinear become quantization records of the nodes that read them.
#ifndef MASE_ONNX_IMPORT_H_
#define MASE_ONNX_IMPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"

namespace mase {

struct ImportOptions {
  // The result that the net is to have. Default: the first of floats; of a classifier of
  // scikit-learn those are its probabilities.
  std::optional<std::string> output;
};

struct ImportedNet {
  Graph graph;
  // What the file has, and what became of it, for people.
  std::vector<std::string> notes;
  std::vector<std::string> outputs;  // All of the file's, by name.
  std::string output;                // The one that `graph` computes.
};

// Errors of OnnxFile::Open; NotFound: no such output, naming those that there are. Unimplemented,
// naming the nodes: ops, or uses of them, that cannot be read. InvalidArgument, naming the node:
// inputs missing or made later (a cycle), attributes of the wrong type, shapes that do not fit.
// ResourceExhausted: limits.
absl::StatusOr<ImportedNet> ImportOnnx(absl::string_view path, const ImportOptions& options = {});

// Whether a file is to be read by ImportOnnx: its name ends in ".onnx".
bool IsOnnxPath(absl::string_view path);

}  // namespace mase

#endif  // MASE_ONNX_IMPORT_H_
