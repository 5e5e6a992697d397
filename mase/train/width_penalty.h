// WidthPenalty: what the learned widths of a net (format/learned_width.h, format/own_grids.h) cost,
// as a part of the loss that training makes small:
//
//   loss + weight * sum over layers of bits(data_in) * uses * sum over the weights w of bits(w)
//
// where each value of the weight is used in `uses` products of a row. That is a row's EBOPs as
// quantize/cost.h counts them (NodeCost::ebops), with widths as the real numbers that training
// moves, so that each has a gradient. With f bits behind the point an operand that flows has as
// many bits as its format's magnitudes; a weight has those from its highest one on,
//
//   bits(w) = 1 + log2 |w| + f, at least 0 and at most the format's,
//
// 0 just where it is half a step and rounds to 0. What it does not see are zeros behind a weight's
// last one, as HGQ's does not. The gradient is by f alone, not by w: it makes grids coarse, and the
// weights go with the loss.
//
// Layers count of which both operands are integers and one has a learned width; a width at an end
// of its range is not pushed further. Where the optimizer leaves a width beyond its range, with a
// penalty or without, it is put at the end: checkpoints keep no more, and a training that goes on
// from one must not differ.
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
  // The bits behind the point of an operand: a number that is fixed, or `count` learned ones that
  // lie from `offset` on.
  struct Widths {
    double fixed = 0;
    int64_t offset = -1, count = 1;
    double lowest = 0, highest = 0;

    template <typename T>
    double At(int64_t i, absl::Span<const T> parameters) const;
  };
  struct Operand {
    double in_front = 0;  // Bits of magnitudes in front of the point.
    Widths behind;
    int64_t values = -1, size = 0;  // Where the weight lies; an operand that flows lies nowhere.
  };
  struct Layer {
    double products =
        0;  // Of a row: for each value of the weight, of an operand that flows in all.
    Operand input, weight;
  };

  // The sum of the bits of an operand's values; calls visit(i, bits) with each and the number of
  // the width that it has.
  template <typename T, typename Visit>
  static double Bits(const Operand& operand, absl::Span<const T> parameters, const Visit& visit);
  template <typename T>
  static double Bits(const Operand& operand, absl::Span<const T> parameters);

  double weight_ = 0;
  std::vector<Widths> learned_;  // All of the net.
  std::vector<Layer> layers_;
};

}  // namespace mase

#endif  // MASE_TRAIN_WIDTH_PENALTY_H_
