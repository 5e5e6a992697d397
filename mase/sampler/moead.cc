// MOEA/D (Zhang and Li: A multiobjective evolutionary algorithm based on decomposition, 2007): the
// front is split into problems of one objective each, the largest weighted distance from the ideal
// point (Chebyshev), and neighbouring problems share what they find. Trial k works at problem
// k modulo the population.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/algorithm/container.h"
#include "mase/sampler/generation.h"
#include "mase/sampler/pareto.h"

namespace mase {
namespace {

constexpr int kPopulation = 50;

class MoeadProposer final : public Proposer {
 public:
  explicit MoeadProposer(const SamplerSpec& spec)
      : spec_(spec),
        population_(spec.settings.has_population_size() ? spec.settings.population_size()
                                                        : kPopulation) {
    const size_t objectives = spec_.directions.size();
    Draws draws(spec_.seed, -1);
    for (int64_t i = 0; i < population_; ++i) {
      LossRow weight(objectives, 1);
      if (objectives == 2) {
        weight[0] = static_cast<double>(i) / static_cast<double>(population_ - 1);
        weight[1] = 1 - weight[0];
      } else if (objectives > 2) {
        // Even over the simplex.
        for (double& w : weight) w = -std::log(draws.OpenUnit());
        const double sum = std::accumulate(weight.begin(), weight.end(), 0.0);
        for (double& w : weight) w /= sum;
      }
      for (double& w : weight) w = std::max(w, 1e-6);
      weights_.push_back(std::move(weight));
    }
    for (const LossRow& weight : weights_) {
      std::vector<size_t> order(weights_.size());
      std::iota(order.begin(), order.end(), size_t{0});
      absl::c_stable_sort(order, [&](size_t a, size_t b) {
        return Distance(weight, weights_[a]) < Distance(weight, weights_[b]);
      });
      order.resize(std::min<size_t>(order.size(), spec_.settings.n_neighbours()));
      neighbours_.push_back(std::move(order));
    }
  }

  Point Propose(int64_t number, const TrialHistory& finished, absl::Span<const Trial>,
                Draws& draws) override {
    Update(finished);
    if (number < population_) return RandomPoint(spec_.space, draws);
    const std::vector<size_t>& near = neighbours_[number % population_];
    std::vector<const Trial*> parents;
    for (size_t problem : near) {
      if (best_[problem] != nullptr) parents.push_back(best_[problem]);
    }
    if (parents.empty()) return RandomPoint(spec_.space, draws);
    const Trial* a = parents[draws.Index(parents.size())];
    const Trial* b = parents[draws.Index(parents.size())];
    return Child(spec_, a->point, b->point, draws);
  }

 private:
  static double Distance(const LossRow& a, const LossRow& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
  }

  // Distances count as shares of what the objective was seen to range over.
  double Chebyshev(size_t problem, const Trial& trial) const {
    const LossRow losses = Losses(trial, spec_.directions);
    double most = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      const double range = worst_[i] > ideal_[i] ? worst_[i] - ideal_[i] : 1;
      most = std::max(most, weights_[problem][i] * (losses[i] - ideal_[i]) / range);
    }
    return most;
  }

  bool IsBetter(size_t problem, const Trial& a, const Trial& b) const {
    const double va = Violation(a), vb = Violation(b);
    if (va != vb) return va < vb;
    const double ca = Chebyshev(problem, a), cb = Chebyshev(problem, b);
    return ca != cb ? ca < cb : a.number < b.number;
  }

  void Offer(const Trial& trial) {
    for (size_t problem : neighbours_[trial.number % population_]) {
      const Trial*& best = best_[problem];
      if (best == nullptr || IsBetter(problem, trial, *best)) best = &trial;
    }
  }

  void Update(const TrialHistory& history) {
    if (history.id() != history_) {
      history_ = history.id();
      arrivals_ = 0;
      ideal_.assign(spec_.directions.size(), std::numeric_limits<double>::infinity());
      worst_.assign(spec_.directions.size(), -std::numeric_limits<double>::infinity());
      best_.assign(weights_.size(), nullptr);
    }
    const size_t begin = arrivals_;
    bool moved = false;
    for (; arrivals_ < history.arrivals().size(); ++arrivals_) {
      const Trial& trial = history.arrivals()[arrivals_];
      if (trial.state != TrialState::kComplete) continue;
      const LossRow losses = Losses(trial, spec_.directions);
      for (size_t i = 0; i < losses.size(); ++i) {
        moved = moved || losses[i] < ideal_[i] || losses[i] > worst_[i];
        ideal_[i] = std::min(ideal_[i], losses[i]);
        worst_[i] = std::max(worst_[i], losses[i]);
      }
    }
    // Other limits make another order: what was best may not be any more.
    if (moved) best_.assign(weights_.size(), nullptr);
    for (size_t i = moved ? 0 : begin; i < arrivals_; ++i) {
      const Trial& trial = history.arrivals()[i];
      if (trial.state == TrialState::kComplete) Offer(trial);
    }
  }

  const SamplerSpec spec_;
  const int64_t population_;
  std::vector<LossRow> weights_;                 // Of the problems.
  std::vector<std::vector<size_t>> neighbours_;  // The nearest problems, itself first.
  uint64_t history_ = 0;
  size_t arrivals_ = 0;
  LossRow ideal_, worst_;
  std::vector<const Trial*> best_;  // Of each problem; null: none yet.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Proposer>> MakeMoead(const SamplerSpec& spec) {
  return std::make_unique<MoeadProposer>(spec);
}

}  // namespace mase
