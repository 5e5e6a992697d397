// TPE: a density of good trials and one of the others, and of some points drawn from the first the
// one where it is largest against the second. Settings and defaults are Optuna's: Bergstra and
// others (2011); several objectives as Ozaki and others: Multiobjective tree-structured Parzen
// estimator for computationally expensive optimization problems (2020); running trials as bad ones
// as Ginsbourger, Le Riche and Carraro: Kriging is well-suited to parallelize optimization (2010).
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "mase/sampler/built_in.h"
#include "mase/sampler/good_trials.h"
#include "mase/sampler/parzen.h"

namespace mase {
namespace {

constexpr size_t kMostGood = 25;
// Of the others only the newest count: those before them had little weight (RecencyWeights), and a
// trial's cost stops growing.
constexpr size_t kMostOthers = 2000;
constexpr double kLeastWeight = 1e-12;

size_t GoodOf(size_t trials) {
  return std::min(kMostGood, static_cast<size_t>(std::ceil(0.1 * static_cast<double>(trials))));
}

struct Split {
  std::vector<const Trial*> good, others;  // Ordered by number.
  std::vector<double> good_weights;        // Of several objectives; else empty.
};

class TpeProposer final : public Proposer {
 public:
  explicit TpeProposer(const SamplerSpec& spec) : spec_(spec), best_(spec.directions, kMostGood) {
    for (size_t i = 0; i < spec_.space.dimensions(); ++i) {
      if (spec_.space[i].parent < 0) always_.push_back(static_cast<int>(i));
    }
  }

  Point Propose(int64_t, const TrialHistory& finished, absl::Span<const Trial> running,
                Draws& draws) override {
    best_.Update(finished);
    if (best_.count() < static_cast<size_t>(spec_.settings.n_startup_trials())) {
      return RandomPoint(spec_.space, draws);
    }
    const Split split = SplitTrials(finished, running);
    Point point(spec_.space.dimensions(), kInactive);
    const bool together = spec_.settings.multivariate() && always_.size() > 1;
    if (together) Choose(always_, split, draws, point);
    for (int i = 0; i < static_cast<int>(point.size()); ++i) {
      if ((together && spec_.space[i].parent < 0) || !spec_.space.IsActive(i, point)) continue;
      Choose({i}, split, draws, point);
    }
    return point;
  }

 private:
  Split SplitTrials(const TrialHistory& finished, absl::Span<const Trial> running) const {
    Split split;
    split.good = best_.Best(GoodOf(best_.count()));
    const absl::Span<const Trial* const> trials = finished.trials();
    for (size_t i = trials.size(); i-- > 0 && split.others.size() < kMostOthers;) {
      if (trials[i]->state == TrialState::kFailed) continue;
      const bool good = absl::c_binary_search(
          split.good, trials[i],
          [](const Trial* a, const Trial* b) { return a->number < b->number; });
      if (!good) split.others.push_back(trials[i]);
    }
    absl::c_reverse(split.others);
    if (spec_.settings.constant_liar() && !running.empty()) {
      for (const Trial& trial : running) {
        if (!trial.point.empty()) split.others.push_back(&trial);
      }
      absl::c_sort(split.others,
                   [](const Trial* a, const Trial* b) { return a->number < b->number; });
    }
    if (spec_.directions.size() > 1) split.good_weights = HypervolumeWeights(split.good);
    return split;
  }

  // What each adds to the hypervolume, as a share of the most; nearly nothing for those that
  // violate constraints.
  std::vector<double> HypervolumeWeights(const std::vector<const Trial*>& good) const {
    std::vector<double> weights(good.size(), kLeastWeight);
    std::vector<size_t> feasible;
    std::vector<LossRow> losses;
    for (size_t i = 0; i < good.size(); ++i) {
      if (good[i]->state != TrialState::kComplete || Violation(*good[i]) > 0) continue;
      feasible.push_back(i);
      losses.push_back(Losses(*good[i], spec_.directions));
    }
    if (feasible.empty()) return std::vector<double>(good.size(), 1.0);
    const std::vector<double> added = HypervolumeContributions(losses, ReferenceBeyond(losses));
    const double most = *absl::c_max_element(added);
    for (size_t i = 0; i < feasible.size(); ++i) {
      weights[feasible[i]] =
          feasible.size() == 1 || !(most > 0) ? 1 : std::max(added[i] / most, kLeastWeight);
    }
    return weights;
  }

  // The density of the trials that have all parameters of the group.
  Parzen Estimate(absl::Span<const int> group, const std::vector<const Trial*>& trials,
                  const std::vector<double>& given) const {
    std::vector<double> observations, weights;
    observations.reserve(trials.size() * group.size());
    size_t count = 0;
    for (size_t i = 0; i < trials.size(); ++i) {
      const Point& point = trials[i]->point;
      if (absl::c_any_of(group, [&](int parameter) { return std::isnan(point[parameter]); })) {
        continue;
      }
      for (int parameter : group) observations.push_back(point[parameter]);
      if (!given.empty()) weights.push_back(given[i]);
      ++count;
    }
    if (given.empty()) weights = RecencyWeights(count);
    return Parzen(spec_.space, group, observations, std::move(weights),
                  spec_.settings.prior_weight());
  }

  void Choose(absl::Span<const int> group, const Split& split, Draws& draws, Point& point) const {
    const Parzen good = Estimate(group, split.good, split.good_weights);
    const Parzen others = Estimate(group, split.others, {});
    std::vector<std::vector<double>> tried;
    double best = -std::numeric_limits<double>::infinity();
    std::vector<double> values(group.size());
    for (int i = 0; i < spec_.settings.n_ei_candidates(); ++i) {
      good.Sample(draws, absl::MakeSpan(values));
      if (absl::c_linear_search(tried, values)) continue;
      tried.push_back(values);
      const double density = good.LogDensity(values);
      // Where the others are as dense as this, the best stays the best; the margin is far more than
      // what rounding could turn.
      const double enough = density - best + 1e-9;
      const double gain = density - others.LogDensity(values, enough);
      if (!(gain > best)) continue;
      best = gain;
      for (size_t j = 0; j < group.size(); ++j) point[group[j]] = values[j];
    }
  }

  const SamplerSpec spec_;
  std::vector<int> always_;  // Parameters without a parent.
  GoodTrials best_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Proposer>> MakeTpe(const SamplerSpec& spec) {
  return std::make_unique<TpeProposer>(spec);
}

}  // namespace mase
