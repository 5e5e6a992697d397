// The proof that a net computes with the values that its record promises: what rounding makes of
// every operand that has a format.
//
//   MASE_ASSIGN_OR_RETURN(std::vector<OperandRounding> all, MeasureRounding(graph, samples));
//   for (const OperandRounding& operand : all) ... operand.rounding.error.sqnr_db ...
#ifndef MASE_CALIBRATE_ROUNDING_H_
#define MASE_CALIBRATE_ROUNDING_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/calibrate/samples.h"
#include "mase/format/metrics.h"
#include "mase/graph/graph.h"
#include "mase/quantize/operands.h"
#include "mase/tensor/tensor.h"
#include "proto/format.pb.h"

namespace mase {

// The first values of a tensor, before and after. `code` is Format::Encode's; none where the
// format has no codes.
struct RoundedValue {
  float original = 0, quantized = 0;
  std::optional<uint32_t> code;
};

// What the codes of a format are, besides bits.
enum class CodeKind { kBits, kUnsigned, kTwosComplement };

// What a format makes of the values of a tensor.
struct Rounding {
  int64_t values = 0;
  QuantizationError error;
  std::optional<double> saturated;  // Share of values beyond the ends; unset where there are none.
  double zero = 0;                  // Share of values that become zero.
  int64_t distinct = 0;             // Different values after rounding; zeros of both signs are one.
  int64_t unchanged = 0;            // Values that rounding leaves as they are.
  // Whether all rounded values are those of the format's codes; unset where it has none to tell by.
  std::optional<bool> on_grid;
  std::string off_grid;  // The first that is not: "element 3, 1e-09 after quantizing, has no code".
  int code_bits = 0;     // Of the format; 0: it has no codes.
  CodeKind code_kind = CodeKind::kBits;
  std::vector<RoundedValue> first;
};

// Rounds `values`, of as many elements as view.shape, and looks at the first `show`. Errors are
// those of Format::Create and Quantize.
absl::StatusOr<Rounding> MeasureRounding(const OperandView& view, absl::Span<const float> values,
                                         int show);

// A tensor that a node reads or makes, rounded as its record says.
struct OperandRounding {
  std::string node, op;
  std::string tensor;      // "data_in_0", "weight", "data_out_0".
  bool is_stored = false;  // A tensor of the module, not an activation.
  FormatProto format;      // The record's.
  Rounding rounding;
};

// Of all operands with a format, in graph order, those of a node as OperandsOf. Activations are
// those of the net with its formats on the samples, which run as one batch; without samples they
// are left out. Errors, which name node and operand, are those of the formats and the executor.
absl::StatusOr<std::vector<OperandRounding>> MeasureRounding(
    const Graph& graph, const std::map<std::string, Tensor>& samples, int show);

}  // namespace mase

#endif  // MASE_CALIBRATE_ROUNDING_H_
