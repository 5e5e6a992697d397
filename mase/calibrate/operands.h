// The quantized operands of a graph: what they hold, and how well a format suits them.
//
//   MASE_ASSIGN_OR_RETURN(FloatRun run, RunFloat(graph, samples, momentum));
//   for (OperandValues& operand : run.operands) ...
//
// An operand's values are those of the float network: the node's own tensors (weights, biases), or
// what its inputs are on the samples, batch by batch (activations). `data_in` covers all inputs
// that the record's entry covers, as in a sum.
#ifndef MASE_CALIBRATE_OPERANDS_H_
#define MASE_CALIBRATE_OPERANDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/calibrate/calibrator.h"
#include "mase/calibrate/observer.h"
#include "mase/calibrate/samples.h"
#include "mase/graph/graph.h"
#include "mase/tensor/tensor.h"
#include "proto/format.pb.h"

namespace mase {

// One entry of a node's record.
struct OperandValues {
  std::string node, op, operand;
  FormatProto format;           // As the record has it.
  std::vector<Tensor> tensors;  // Of the node's module; empty for an activation.
  Observer observer{0};         // Of all values.
};

struct FloatRun {
  std::vector<OperandValues> operands;  // In the order of the graph and of the records.
  std::vector<float> outputs;           // The float network's, batch by batch.
};

// Runs the graph without its records on the samples. Without samples activations have seen
// nothing, and there are no outputs. The errors are those of the executor, and OutOfRange naming
// node, operand and value for one that is not finite.
absl::StatusOr<FloatRun> RunFloat(const Graph& graph, const SampleBatches& samples,
                                  double momentum);

// The outputs of the graph with its records.
absl::StatusOr<std::vector<float>> RunQuantized(const Graph& graph, const SampleBatches& samples);

// The operand's format with its parameter set by what was seen. With a `block_size`
// (AffineFormat's) every block of the operand's one tensor gets a scale of its own; blocks of
// zeros, which any scale suits, take that of the whole tensor. CanFit(operand.format),
// !operand.observer.empty(), and with blocks IsFixedPoint(operand.format). The errors are those of
// Calibrate, naming the operand.
absl::StatusOr<FormatProto> CalibrateOperand(const OperandValues& operand, CalibrationMethod method,
                                             const CalibratorOptions& options,
                                             absl::Span<const int64_t> block_size = {});

// A format on an operand's values.
struct OperandError {
  double sqnr_db = 0;    // As mase/format/metrics.h, but at most kMaxSqnrDb.
  double saturated = 0;  // Share of the values that lie beyond the ends of the format.
};
// About what float32 itself has: the SQNR of formats without an error.
inline constexpr double kMaxSqnrDb = 150;

// InvalidArgument if the format does not fit the tensors.
absl::StatusOr<OperandError> MeasureOperand(const OperandValues& operand,
                                            const FormatProto& format);

}  // namespace mase

#endif  // MASE_CALIBRATE_OPERANDS_H_
