// Sets of trials by several objectives at once. Objectives are losses here: less is better (Losses
// of trial.h turns those to maximize). `losses` has a row a trial, all of one length.
#ifndef MASE_SAMPLER_PARETO_H_
#define MASE_SAMPLER_PARETO_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace mase {

using LossRow = std::vector<double>;

// Whether `a` is nowhere worse than `b` and somewhere better.
bool Dominates(const LossRow& a, const LossRow& b);

// Of each row its rank: 0 where none dominates it, 1 where only rows of rank 0 do, and so on
// (non-dominated sorting: Deb and others, A fast and elitist multiobjective genetic algorithm,
// 2002). Equal rows have equal ranks. Cost: O(n log n) for up to two objectives, else O(n^2).
std::vector<int> NonDominatedRanks(absl::Span<const LossRow> losses);

// Indices of the rows of rank 0, ascending.
std::vector<size_t> ParetoFront(absl::Span<const LossRow> losses);

// Crowding distances (Deb and others, 2002) of rows that are one front: the sum over objectives of
// the distance between the neighbours, as a share of the objective's range. Infinite at the ends.
std::vector<double> CrowdingDistances(absl::Span<const LossRow> losses);

// The volume that is dominated by some row and dominates `reference`; rows that are not below the
// reference in every objective add nothing. Exact. Cost: O(n log n) for up to two objectives;
// beyond exponential in their number (While, Bradstreet and Barone: A fast way of calculating exact
// hypervolumes, 2012).
double Hypervolume(absl::Span<const LossRow> losses, const LossRow& reference);

// What each row adds to the hypervolume of all of them; 0 where another row equals it.
std::vector<double> HypervolumeContributions(absl::Span<const LossRow> losses,
                                             const LossRow& reference);

// Indices of `count` rows, chosen one after another so that each adds most to the hypervolume of
// those before it: at least 1 - 1/e of the largest there is (the function is submodular). Of equals
// the first. Ascending. Requires count <= losses.size().
std::vector<size_t> GreedyHypervolumeSubset(absl::Span<const LossRow> losses, size_t count,
                                            const LossRow& reference);

}  // namespace mase

#endif  // MASE_SAMPLER_PARETO_H_
