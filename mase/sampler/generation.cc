#include "mase/sampler/generation.h"

#include <cmath>

#include "absl/algorithm/container.h"

namespace mase {
namespace {

size_t PositionOf(const TrialHistory& history, int64_t number) {
  const absl::Span<const Trial* const> trials = history.trials();
  return absl::c_lower_bound(trials, number,
                             [](const Trial* trial, int64_t n) { return trial->number < n; }) -
         trials.begin();
}

}  // namespace

absl::Span<const Trial* const> TrialsBetween(const TrialHistory& history, int64_t begin,
                                             int64_t end) {
  const size_t first = PositionOf(history, begin);
  return history.trials().subspan(first, PositionOf(history, end) - first);
}

bool AllFinished(const TrialHistory& history, int64_t end) {
  return PositionOf(history, end) == static_cast<size_t>(end);
}

std::vector<const Trial*> CompleteOf(absl::Span<const Trial* const> trials) {
  std::vector<const Trial*> complete;
  for (const Trial* trial : trials) {
    if (trial->state == TrialState::kComplete) complete.push_back(trial);
  }
  return complete;
}

Point Child(const SamplerSpec& spec, const Point& a, const Point& b, Draws& draws) {
  const SamplerSettings& settings = spec.settings;
  const double mutation = settings.has_mutation_prob()
                              ? settings.mutation_prob()
                              : 1.0 / static_cast<double>(spec.space.dimensions());
  const bool cross = draws.Unit() < settings.crossover_prob();
  Point child(spec.space.dimensions(), kInactive);
  for (size_t i = 0; i < child.size(); ++i) {
    const bool swap = draws.Unit() < settings.swapping_prob();
    const bool mutate = draws.Unit() < mutation;
    const double fresh = draws.Unit();
    if (!spec.space.IsActive(i, child)) continue;
    child[i] = cross && swap ? b[i] : a[i];
    if (std::isnan(child[i])) child[i] = cross && swap ? a[i] : b[i];
    if (mutate || std::isnan(child[i])) child[i] = AtUnit(spec.space[i], fresh);
  }
  return child;
}

}  // namespace mase
