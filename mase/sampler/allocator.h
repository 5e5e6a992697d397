// Bits for layers: of each layer one choice, so that the sum of errors is least and the sum of
// costs is within a budget.
//
//   // Costs in bytes of weights, errors as measured with that layer alone quantized.
//   std::vector<LayerChoices> layers = {{{32, 0.9}, {64, 0.1}}, {{128, 0.4}, {256, 0.3}}};
//   MASE_ASSIGN_OR_RETURN(Allocation best, AllocateBits(layers, /*budget=*/200));
//   best.choices;  // {1, 0}: cost 192, error 0.5
//   best.gap();    // 0: nothing better exists
//
// This is the multiple-choice knapsack problem. What is optimal here is the sum of errors: how well
// that stands for the error of the whole net is for a measurement to say.
#ifndef MASE_SAMPLER_ALLOCATOR_H_
#define MASE_SAMPLER_ALLOCATOR_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace mase {

// What a layer costs and how far off it is, with one choice of its formats. Both finite; costs from
// 0 on.
struct BitChoice {
  double cost = 0;
  double error = 0;
};
using LayerChoices = std::vector<BitChoice>;

struct Allocation {
  std::vector<int> choices;  // Of each layer.
  double cost = 0;
  double error = 0;
  // No allocation within the budget has a smaller error: the error itself where the optimum is
  // proven, else the bound of the Lagrangian relaxation (Shoham and Gersho: Efficient bit
  // allocation for an arbitrary set of quantizers, 1988).
  double bound = 0;
  double gap() const { return error - bound; }
};

// Partial allocations that are compared before the search for a proof is given up.
inline constexpr int64_t kMostPartialAllocations = 4'000'000;

// The allocation with the least error within the budget; of equals one with the least cost. A
// dynamic programme over the layers keeps the partial allocations that none other beats in cost and
// error and that the relaxation does not rule out; beyond `most_partial` of them at a time the best
// that is known is returned with its gap.
//
// InvalidArgument: no layer, a layer without choices, numbers that are not finite or costs below 0,
// a budget that not even the cheapest choices keep (named with what they cost).
absl::StatusOr<Allocation> AllocateBits(absl::Span<const LayerChoices> layers, double budget,
                                        int64_t most_partial = kMostPartialAllocations);

// The way most tools go: from the least error of each layer, always the change that adds the least
// error for each unit of cost that it saves, until the budget is kept. The bound is the
// relaxation's. Errors as AllocateBits.
absl::StatusOr<Allocation> GreedyAllocation(absl::Span<const LayerChoices> layers, double budget);

}  // namespace mase

#endif  // MASE_SAMPLER_ALLOCATOR_H_
