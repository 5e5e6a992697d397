// Pictures of a search, and of samplers side by side.
#ifndef MASE_SEARCH_SEARCH_PLOTS_H_
#define MASE_SEARCH_SEARCH_PLOTS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/interop/svg_curves.h"
#include "mase/sampler/trial.h"
#include "mase/search/objective.h"
#include "mase/search/search_space.h"

namespace mase {

// The worst value of each objective among complete trials, as losses, and a tenth of its range
// further: what hypervolumes are counted from.
std::vector<double> ReferenceOf(absl::Span<const Trial* const> trials,
                                absl::Span<const Direction> directions);

// How good the search is after each trial: of one objective the best value so far, of several the
// hypervolume of the front so far. NaN before the first complete trial that satisfies its
// constraints.
std::vector<double> QualityCurve(absl::Span<const Trial* const> trials,
                                 absl::Span<const Direction> directions,
                                 const std::vector<double>& reference);

// That curve.
Picture QualityPicture(absl::Span<const Trial* const> trials, const Objective& objective);

// All trials by the first two objectives, and the front. Requires two objectives.
Picture FrontPicture(absl::Span<const Trial* const> trials, absl::Span<const Trial* const> front,
                     const Objective& objective);

// A row a choice: the share of what it does to each objective (importance.h), most first. No rows
// where nothing can be said.
Table ImportanceTable(absl::Span<const Trial* const> trials, const SearchSpace& space,
                      const Objective& objective, uint64_t seed);

// One sampler's quality curves, one a seed.
struct SamplerCurves {
  std::string sampler;
  std::vector<std::vector<double>> curves;
};

// A row a sampler: its quality at the end, and after how many trials 99 % of the best of all was
// reached, as medians over the seeds.
Table CompareTable(absl::Span<const SamplerCurves> samplers, const Objective& objective);
// Medians as lines, the least and the greatest of the seeds as bands around them.
Picture ComparePicture(absl::Span<const SamplerCurves> samplers, const Objective& objective);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_PLOTS_H_
