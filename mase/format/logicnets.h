// LogicNets: a neuron whose few inputs are small integers, as a truth table.
#ifndef MASE_FORMAT_LOGICNETS_H_
#define MASE_FORMAT_LOGICNETS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/format.pb.h"

namespace mase {

// Tables beyond this many entries are refused: 2^(width * fan_in) grows fast.
inline constexpr int kMaxLogicNetsTableBits = 24;

struct LogicNetsNeuron {
  std::vector<int> inputs;  // Positions of the non-zero weights, ascending.
  // One code of the output per input state. A state is a number of which input i holds bits
  // [i * width, (i + 1) * width): the first input varies fastest, its code being lowest for 0.
  std::vector<int32_t> table;
};

// The table of y_q(sum_i w_i x_i + bias) over all states of the inputs with non-zero weight.
// `x` and `y` are logicnets or integer formats. `activation`, if given, is applied to the sum
// before rounding (fused ReLU, Tanh or batch norm).
//
// Output codes are y / 2^-y.frac_width with EXACT semantics of `y`; with REFERENCE they are
// encoded, and later decoded, by the *input's* fraction, as MASE does.
//
// InvalidArgument: no non-zero weight; an unsuitable format. ResourceExhausted: the table would
// have more than 2^kMaxLogicNetsTableBits entries.
absl::StatusOr<LogicNetsNeuron> BuildLogicNetsNeuron(
    absl::Span<const float> weights, float bias, const FormatProto& x, const FormatProto& y,
    const std::function<float(float)>& activation = nullptr);

// The state of input codes given as signed integers, in the order of `inputs`.
int64_t LogicNetsState(absl::Span<const int32_t> codes, int width);

}  // namespace mase

#endif  // MASE_FORMAT_LOGICNETS_H_
