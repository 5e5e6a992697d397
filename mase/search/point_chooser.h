// Points of a space that a sampler chooses and the constraints on choices allow.
#ifndef MASE_SEARCH_POINT_CHOOSER_H_
#define MASE_SEARCH_POINT_CHOOSER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "mase/sampler/sampler.h"
#include "mase/search/objective.h"
#include "mase/search/study.h"

namespace mase {

// More trials than a study ever has.
inline constexpr int64_t kMostTrials = 1 << 30;

inline constexpr int64_t kFailuresOfAValue = 4;

// How many points the constraints on choices allow; kMostTrials where that cannot be counted.
int64_t AllowedPoints(const ParameterSpace& space, const Objective& objective);

// The first value of each choice, or the last.
Point CornerPoint(const ParameterSpace& space, bool last);

class PointChooser {
 public:
  // The sampler's settings are the strategy's, complete. Errors of FindSampler and MakeSampler.
  static absl::StatusOr<PointChooser> Create(const SamplerSettings& settings,
                                             const ParameterSpace& space,
                                             const Objective& objective, uint64_t seed);

  // The point of trial `number`; nothing where the space has none left. Points that are refused
  // count as trials that run, of which samplers learn to look elsewhere. Refused are those that
  // violate a constraint on choices and, but by an exhaustive sampler and where others can be
  // found, those with a value that failed kFailuresOfAValue times or more and never was in a
  // complete trial. InvalidArgument, naming the constraint, where thousands in a row are refused by
  // it.
  absl::StatusOr<std::optional<Point>> Choose(int64_t number, const Study& study);

 private:
  PointChooser(std::unique_ptr<Sampler> sampler, const Objective& objective, bool exhaustive)
      : sampler_(std::move(sampler)), objective_(&objective), exhaustive_(exhaustive) {}

  // Counts what became of each value in trials since the last call.
  void CountOutcomes(const TrialHistory& history);
  bool FailsAlways(absl::Span<const double> point) const;

  struct Outcomes {
    int64_t failed = 0, complete = 0;
  };

  std::unique_ptr<Sampler> sampler_;
  const Objective* objective_;
  bool exhaustive_;
  std::vector<Trial> refused_;  // Of an exhaustive sampler all; else those of the trial at hand.
  uint64_t history_ = 0;
  size_t counted_ = 0;  // Arrivals.
  bool any_failed_ = false;
  std::map<std::pair<size_t, double>, Outcomes> outcomes_;  // By parameter and value.
};

}  // namespace mase

#endif  // MASE_SEARCH_POINT_CHOOSER_H_
