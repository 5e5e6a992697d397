// Samplers that do not learn: grid and random.
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/search/draws.h"
#include "mase/search/sampler_table.h"

namespace mase {
namespace {

class GridSampler final : public Sampler {
 public:
  explicit GridSampler(SamplerSpec spec) : space_(std::move(spec.space)) {}

  absl::StatusOr<Point> Sample(int64_t number, const TrialHistory&,
                               absl::Span<const Trial>) override {
    if (static_cast<uint64_t>(number) >= *space_.size()) {
      return absl::OutOfRangeError(absl::StrCat("the grid has ", *space_.size(),
                                                " points: none is left for trial ", number));
    }
    return space_.PointAt(static_cast<uint64_t>(number));
  }

 private:
  const ParameterSpace space_;
};

class RandomSampler final : public Sampler {
 public:
  explicit RandomSampler(SamplerSpec spec) : spec_(std::move(spec)) {}

  absl::StatusOr<Point> Sample(int64_t number, const TrialHistory&,
                               absl::Span<const Trial>) override {
    Draws draws(spec_.seed, number);
    return RandomPoint(spec_.space, draws);
  }

 private:
  const SamplerSpec spec_;
};

}  // namespace

std::unique_ptr<Sampler> MakeGridSampler(SamplerSpec spec) {
  return std::make_unique<GridSampler>(std::move(spec));
}

std::unique_ptr<Sampler> MakeRandomSampler(SamplerSpec spec) {
  return std::make_unique<RandomSampler>(std::move(spec));
}

}  // namespace mase
