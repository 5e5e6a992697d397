// Example plugin: a sampler from outside, hill climbing. After some random trials each looks at one
// value of the best trial so far, a step up or down or, of a list, another one; every eighth starts
// anew somewhere, so that a hill that is none does not hold it.
//
//   $SDK/bin/ch search --config=FILE --plugins=./hill_climbing.so --sampler=hill_climbing
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "mase/plugin/plugin.h"
#include "mase/sampler/proposer.h"

namespace hill_climbing {

using mase::Draws;
using mase::Point;
using mase::SearchParameter;
using mase::Trial;

constexpr int64_t kRestart =
    8;  // Trials before the first step, and from one new start to the next.

class HillClimbing final : public mase::Proposer {
 public:
  explicit HillClimbing(const mase::SamplerSpec& spec) : spec_(spec) {}

  Point Propose(int64_t number, const mase::TrialHistory& finished, absl::Span<const Trial>,
                Draws& draws) override {
    const Trial* best = Best(finished);
    if (number < kRestart || number % kRestart == 0 || best == nullptr) {
      return mase::RandomPoint(spec_.space, draws);
    }
    Point wanted = best->point;
    const size_t moved = Active(wanted, draws);
    wanted[moved] = Step(spec_.space[moved], wanted[moved], draws);
    // What depends on the value that moved may come or go.
    Point point(wanted.size(), mase::kInactive);
    for (size_t i = 0; i < point.size(); ++i) {
      const double unit = draws.Unit();
      if (!spec_.space.IsActive(i, point)) continue;
      point[i] = std::isnan(wanted[i]) ? mase::AtUnit(spec_.space[i], unit) : wanted[i];
    }
    return point;
  }

 private:
  // The complete trial that violates constraints least and, of equals, has the least loss.
  const Trial* Best(const mase::TrialHistory& finished) const {
    const Trial* best = nullptr;
    for (const Trial* trial : finished.trials()) {
      if (trial->state != mase::TrialState::kComplete) continue;
      if (best == nullptr || Better(*trial, *best)) best = trial;
    }
    return best;
  }

  bool Better(const Trial& a, const Trial& b) const {
    const double violated = mase::Violation(a) - mase::Violation(b);
    if (violated != 0) return violated < 0;
    return mase::Losses(a, spec_.directions)[0] < mase::Losses(b, spec_.directions)[0];
  }

  // One of the parameters that have a value.
  static size_t Active(const Point& point, Draws& draws) {
    std::vector<size_t> active;
    for (size_t i = 0; i < point.size(); ++i) {
      if (!std::isnan(point[i])) active.push_back(i);
    }
    return active[draws.Index(active.size())];
  }

  static double Step(const SearchParameter& parameter, double value, Draws& draws) {
    const double sign = draws.Unit() < 0.5 ? -1 : 1;
    if (parameter.kind == SearchParameter::Kind::kCategorical) {
      const size_t choices = parameter.choices.size();
      if (choices == 1) return value;
      const auto other = static_cast<double>(draws.Index(choices - 1));
      return other < value ? other : other + 1;
    }
    const double range = parameter.high - parameter.low;
    const double step = parameter.log        ? value * (std::exp2(sign * draws.Unit()) - 1)
                        : parameter.step > 0 ? sign * parameter.step
                                             : sign * draws.Unit() * range / 8;
    return parameter.Nearest(std::clamp(value + step, parameter.low, parameter.high));
  }

  const mase::SamplerSpec spec_;
};

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddSampler(
      {.name = "hill_climbing",
       .summary = "One value of the best trial, a step up or down; now and then a new start.",
       .most_objectives = 1,
       .create =
           [](const mase::SamplerSpec& spec) -> absl::StatusOr<std::unique_ptr<mase::Proposer>> {
         return std::make_unique<HillClimbing>(spec);
       }});
}

}  // namespace hill_climbing

MASE_DEFINE_PLUGIN("hill_climbing", "1.0.0", hill_climbing::Register, .owner = "MASE in C++",
                   .status = "stable")
