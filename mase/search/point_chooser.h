// Points of a space that a sampler chooses and the constraints on choices allow.
#ifndef MASE_SEARCH_POINT_CHOOSER_H_
#define MASE_SEARCH_POINT_CHOOSER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/search/objective.h"
#include "mase/search/sampler.h"
#include "mase/search/study.h"

namespace mase {

// More trials than a study ever has.
inline constexpr int64_t kMostTrials = 1 << 30;

// How many points the constraints on choices allow; kMostTrials where that cannot be counted.
int64_t AllowedPoints(const ParameterSpace& space, const Objective& objective);

// The first value of each choice, or the last.
Point CornerPoint(const ParameterSpace& space, bool last);

class PointChooser {
 public:
  // The sampler's settings are the strategy's. Errors of MakeSampler.
  static absl::StatusOr<PointChooser> Create(const SamplerSettings& settings,
                                             const ParameterSpace& space,
                                             const Objective& objective, uint64_t seed);

  // The point of trial `number`; nothing where the space has none left. Points that are refused
  // count as trials that run, of which samplers learn to look elsewhere. InvalidArgument, naming
  // the constraint, where thousands in a row are refused.
  absl::StatusOr<std::optional<Point>> Choose(int64_t number, const Study& study);

 private:
  PointChooser(std::unique_ptr<Sampler> sampler, const Objective& objective, bool is_grid)
      : sampler_(std::move(sampler)), objective_(&objective), is_grid_(is_grid) {}

  std::unique_ptr<Sampler> sampler_;
  const Objective* objective_;
  bool is_grid_;
  std::vector<Trial> refused_;  // Of a grid all; else those of the trial at hand.
};

}  // namespace mase

#endif  // MASE_SEARCH_POINT_CHOOSER_H_
