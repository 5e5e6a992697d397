// WidthPenalty: what the learned widths of a net (format/learned_width.h) cost, as a part of the
// loss that training makes small:
//
//   loss + weight * sum over layers of macs * bits(data_in) * bits(weight)
//
// The sum is HGQ's upper bound of a row's EBOPs (quantize/cost.h: NodeCost::ebops), with the bits
// of magnitudes as the real numbers that training moves, so that each width has a gradient: the
// multiplications of its layer times the other operand's bits. Layers count of which both operands
// are integers and one has a learned width; a width at an end of its range is not pushed further.
// Where the optimizer leaves a width beyond its range, with a penalty or without, it is put at the
// end: checkpoints keep no more, and a training that goes on from one must not differ.
#ifndef MASE_TRAIN_WIDTH_PENALTY_H_
#define MASE_TRAIN_WIDTH_PENALTY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"

namespace mase {

class WidthPenalty {
 public:
  // `slots` are those of the executor's parameters, where the widths lie. With the weight 0 there
  // is no penalty. InvalidArgument: a weight, and no layer that counts; errors of CostsOf.
  static absl::StatusOr<WidthPenalty> Create(const Graph& graph, absl::Span<const TensorSlot> slots,
                                             double weight);

  // `parameters` and `gradients` are laid out by the slots. T is float or double.
  template <typename T>
  double Value(absl::Span<const T> parameters) const;
  template <typename T>
  void AddGradient(absl::Span<const T> parameters, absl::Span<T> gradients) const;
  // Puts all learned widths into their ranges.
  template <typename T>
  void Clamp(absl::Span<T> parameters) const;

 private:
  // Bits of an operand's magnitude: fixed ones and, where a width is learned, those at `offset`.
  struct Bits {
    double fixed = 0;
    int64_t offset = -1;
    double lowest = 0, highest = 0;  // Of what is learned.
  };
  struct Layer {
    double macs = 0;
    Bits input, weight;
  };

  template <typename T>
  static double BitsOf(const Bits& bits, absl::Span<const T> parameters);

  struct Range {
    int64_t offset;
    double lowest, highest;
  };

  double weight_ = 0;
  std::vector<Range> ranges_;  // Of all learned widths.
  std::vector<Layer> layers_;
};

}  // namespace mase

#endif  // MASE_TRAIN_WIDTH_PENALTY_H_
