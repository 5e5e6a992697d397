// A Graph as an ONNX file.
//
//   MASE_ASSIGN_OR_RETURN(ExportedNet net, ExportOnnx(graph, OnnxForm::kQdq));
//   MASE_RETURN_IF_ERROR(WriteOnnx("net.onnx", graph, net));
//
// Every op that can be written is a row of a table (export_ops.cc). Nodes keep their names, tensors
// too; axis 0 of the inputs, the rows, is symbolic. The formats of quantized nodes stand in the
// file's metadata ("mase.format.NODE"), where viewers show them.
//
// What a record rounds is written
//
//   kFloat      not at all: the file computes the float net
//   kQdq        as QuantizeLinear and DequantizeLinear on the operand; weights and biases as codes
//               behind a DequantizeLinear. Integers that round to nearest, ties to even, with one
//               scale, or of weights one for each output: of up to 8 bits, in opset 21 up to 16 and
//               as int4 up to 4; other ends than the type's are cut by a Clip first. In opset 21
//               floats of 8 bits, too, whose numbers are those of FLOAT8E4M3FN or FLOAT8E5M2.
//   kQOperator  the same, and layers compute on codes: conv1d and conv2d by QLinearConv, linear by
//               QGemm of ONNX Runtime (com.microsoft), with the bias in int32. Between them codes
//               are handed on (MaxPool, Clip for a ReLU, Reshape, Concat). Layers that cannot are
//               as in kQdq, and a note names them with the reason.
//   kQonnx      as Quant of QONNX (domain qonnx.custom_op.general), which FINN, hls4ml and QONNX
//               read: integers of up to 24 bits with those scales
#ifndef MASE_ONNX_EXPORT_H_
#define MASE_ONNX_EXPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"

namespace mase {

enum class OnnxForm { kFloat, kQdq, kQOperator, kQonnx };

struct OnnxTarget {
  OnnxForm form = OnnxForm::kFloat;
  int64_t opset = 17;  // Or 21.
};

struct ExportedNet {
  std::string bytes;               // The file.
  int rounded = 0;                 // Operands that it rounds.
  std::vector<std::string> notes;  // What is lost, for people.
};

// InvalidArgument: another opset. Unimplemented, naming the node: an op, or a number format, that
// the form cannot express, with what would be lost.
absl::StatusOr<ExportedNet> ExportOnnx(const Graph& graph, const OnnxTarget& target);

// Writes the file under a name of its own, reads it back by ImportOnnx, runs both nets on rows of
// random numbers, and gives it its name where the results agree: kFloat with the float net, else
// with the simulated one, within 1e-5 of the largest result. Gives the largest difference so
// measured. Internal, and no file, if they do not agree.
absl::StatusOr<double> WriteOnnx(absl::string_view path, const Graph& graph, OnnxForm form,
                                 const ExportedNet& net);

}  // namespace mase

#endif  // MASE_ONNX_EXPORT_H_
