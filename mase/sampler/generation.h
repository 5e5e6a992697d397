// What samplers that work in generations share. Trial k belongs to generation k / population, so
// that a generation is known before it is done.
#ifndef MASE_SAMPLER_GENERATION_H_
#define MASE_SAMPLER_GENERATION_H_

#include <cstdint>
#include <vector>

#include "mase/sampler/proposer.h"

namespace mase {

// The trials with numbers from `begin` to before `end`.
absl::Span<const Trial* const> TrialsBetween(const TrialHistory& history, int64_t begin,
                                             int64_t end);

// Whether all trials with numbers below `end` are finished.
bool AllFinished(const TrialHistory& history, int64_t end);

// Complete trials of `trials`: those that have values to compare.
std::vector<const Trial*> CompleteOf(absl::Span<const Trial* const> trials);

// A child of two points: with the settings' crossover_prob each value is from `b` with
// swapping_prob, else all are from `a`; then each is drawn anew with mutation_prob. Values that
// neither parent has are drawn.
Point Child(const SamplerSpec& spec, const Point& a, const Point& b, Draws& draws);

}  // namespace mase

#endif  // MASE_SAMPLER_GENERATION_H_
