// Samplers that do not learn: grid, random and Sobol's sequence.
#include <memory>

#include "absl/strings/str_cat.h"
#include "boost/random/sobol.hpp"
#include "mase/sampler/built_in.h"

namespace mase {
namespace {

constexpr size_t kMostQmcDimensions = 3667;  // Of Joe and Kuo's table.

class GridProposer final : public Proposer {
 public:
  explicit GridProposer(const SamplerSpec& spec) : space_(spec.space) {}

  Point Propose(int64_t number, const TrialHistory&, absl::Span<const Trial>, Draws&) override {
    return space_.PointAt(static_cast<uint64_t>(number) % *space_.size());
  }

 private:
  const ParameterSpace space_;
};

class RandomProposer final : public Proposer {
 public:
  explicit RandomProposer(const SamplerSpec& spec) : space_(spec.space) {}

  Point Propose(int64_t, const TrialHistory&, absl::Span<const Trial>, Draws& draws) override {
    return RandomPoint(space_, draws);
  }

 private:
  const ParameterSpace space_;
};

// Point `number` of Sobol's sequence with the direction numbers of Joe and Kuo (2008), the zero
// point first.
class QmcProposer final : public Proposer {
 public:
  explicit QmcProposer(const SamplerSpec& spec) : spec_(spec), sequence_(spec.space.dimensions()) {}

  Point Propose(int64_t number, const TrialHistory&, absl::Span<const Trial>, Draws&) override {
    if (number > 0) sequence_.seed(static_cast<uint64_t>(number - 1));
    Draws shifts(spec_.seed, -1);
    Point point(spec_.space.dimensions(), kInactive);
    for (size_t i = 0; i < point.size(); ++i) {
      const uint64_t digits = number > 0 ? sequence_() : 0;
      double unit = static_cast<double>(digits >> 11) * 0x1p-53;
      const double shift = shifts.Unit();
      if (spec_.settings.scramble()) unit = unit + shift < 1 ? unit + shift : unit + shift - 1;
      if (spec_.space.IsActive(i, point)) point[i] = AtUnit(spec_.space[i], unit);
    }
    return point;
  }

 private:
  const SamplerSpec spec_;
  boost::random::sobol sequence_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Proposer>> MakeGrid(const SamplerSpec& spec) {
  return std::make_unique<GridProposer>(spec);
}

absl::StatusOr<std::unique_ptr<Proposer>> MakeRandom(const SamplerSpec& spec) {
  return std::make_unique<RandomProposer>(spec);
}

absl::StatusOr<std::unique_ptr<Proposer>> MakeQmc(const SamplerSpec& spec) {
  if (spec.space.dimensions() > kMostQmcDimensions) {
    return absl::InvalidArgumentError(absl::StrCat("chooses up to ", kMostQmcDimensions,
                                                   " parameters, not ", spec.space.dimensions()));
  }
  return std::make_unique<QmcProposer>(spec);
}

}  // namespace mase
