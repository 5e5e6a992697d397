// NSGA-II (Deb, Pratap, Agarwal and Meyarivan: A fast and elitist multiobjective genetic algorithm,
// 2002) and NSGA-III (Deb and Jain: An evolutionary many-objective optimization algorithm using
// reference-point-based nondominated sorting, 2014), with Optuna's operators for parameters of any
// kind. pagmo, which has NSGA-II too, knows no choices without an order, no parameters that depend
// on others and no constraints there.
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
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Parents of the next generation out of those that are not all taken: `wanted` of the candidates,
// which are one front.
using Thin = std::vector<size_t> (*)(const SamplerSpec& spec, const std::vector<LossRow>& taken,
                                     const std::vector<LossRow>& candidates, size_t wanted,
                                     Draws& draws);

std::vector<size_t> ThinByCrowding(const SamplerSpec&, const std::vector<LossRow>&,
                                   const std::vector<LossRow>& candidates, size_t wanted, Draws&) {
  const std::vector<double> distances = CrowdingDistances(candidates);
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  absl::c_stable_sort(order, [&](size_t a, size_t b) { return distances[a] > distances[b]; });
  order.resize(wanted);
  return order;
}

// All points of the simplex whose coordinates are multiples of 1 / divisions (Das and Dennis,
// 1998).
std::vector<LossRow> SimplexLattice(size_t objectives, int divisions) {
  std::vector<LossRow> points;
  std::vector<int> parts(objectives, 0);
  parts.back() = divisions;
  while (true) {
    LossRow point;
    for (int part : parts) point.push_back(static_cast<double>(part) / divisions);
    points.push_back(point);
    // The next composition: one more in front of the last part that can give.
    size_t at = objectives - 1;
    while (at > 0 && parts[at] == 0) --at;
    if (at == 0) return points;
    const int rest = parts[at] - 1;
    parts[at] = 0;
    ++parts[at - 1];
    parts.back() = rest;
  }
}

// Of each row the nearest direction and the distance from its line.
struct Niche {
  size_t direction;
  double distance;
};

Niche NicheOf(const LossRow& row, const std::vector<LossRow>& directions) {
  Niche niche = {0, kInfinity};
  for (size_t i = 0; i < directions.size(); ++i) {
    double along = 0, length = 0, square = 0;
    for (size_t d = 0; d < row.size(); ++d) {
      along += row[d] * directions[i][d];
      length += directions[i][d] * directions[i][d];
      square += row[d] * row[d];
    }
    const double distance = square - along * along / length;
    if (distance < niche.distance) niche = {i, distance};
  }
  return niche;
}

std::vector<size_t> ThinByReferences(const SamplerSpec& spec, const std::vector<LossRow>& taken,
                                     const std::vector<LossRow>& candidates, size_t wanted,
                                     Draws& draws) {
  std::vector<LossRow> all = taken;
  all.insert(all.end(), candidates.begin(), candidates.end());
  // Objectives from the ideal point, as shares of the distance to the worst of the front.
  LossRow ideal = all[0], worst = all[0];
  for (const LossRow& row : all) {
    for (size_t d = 0; d < row.size(); ++d) {
      ideal[d] = std::min(ideal[d], row[d]);
      worst[d] = std::max(worst[d], row[d]);
    }
  }
  for (LossRow& row : all) {
    for (size_t d = 0; d < row.size(); ++d) {
      row[d] = worst[d] > ideal[d] ? (row[d] - ideal[d]) / (worst[d] - ideal[d]) : 0;
    }
  }
  const std::vector<LossRow> directions =
      SimplexLattice(ideal.size(), spec.settings.dividing_parameter());
  std::vector<int> crowd(directions.size(), 0);
  std::vector<std::vector<Niche>> waiting(directions.size());  // `direction` is the candidate.
  for (size_t i = 0; i < all.size(); ++i) {
    const Niche niche = NicheOf(all[i], directions);
    if (i < taken.size()) {
      ++crowd[niche.direction];
    } else {
      waiting[niche.direction].push_back({i - taken.size(), niche.distance});
    }
  }
  std::vector<size_t> chosen;
  while (chosen.size() < wanted) {
    // A direction with the fewest neighbours that has candidates.
    std::vector<size_t> fewest;
    for (size_t i = 0; i < directions.size(); ++i) {
      if (waiting[i].empty()) continue;
      if (!fewest.empty() && crowd[i] > crowd[fewest[0]]) continue;
      if (!fewest.empty() && crowd[i] < crowd[fewest[0]]) fewest.clear();
      fewest.push_back(i);
    }
    const size_t direction = fewest[draws.Index(fewest.size())];
    std::vector<Niche>& here = waiting[direction];
    const auto pick =
        crowd[direction] == 0
            ? absl::c_min_element(
                  here, [](const Niche& a, const Niche& b) { return a.distance < b.distance; })
            : here.begin() + static_cast<int64_t>(draws.Index(here.size()));
    chosen.push_back(pick->direction);
    here.erase(pick);
    ++crowd[direction];
  }
  return chosen;
}

class NsgaProposer final : public Proposer {
 public:
  NsgaProposer(const SamplerSpec& spec, Thin thin)
      : spec_(spec),
        thin_(thin),
        population_(spec.settings.has_population_size() ? spec.settings.population_size()
                                                        : kPopulation) {}

  Point Propose(int64_t number, const TrialHistory& finished, absl::Span<const Trial>,
                Draws& draws) override {
    const std::vector<const Trial*> parents = Parents(number / population_, finished);
    if (parents.empty()) return RandomPoint(spec_.space, draws);
    const Point& a = Tournament(parents, draws)->point;
    return Child(spec_, a, Tournament(parents, draws)->point, draws);
  }

 private:
  // The parents of a generation: the best of those of the generation before and its children.
  std::vector<const Trial*> Parents(int64_t generation, const TrialHistory& finished) {
    if (finished.id() != history_ || generation < settled_) {
      history_ = finished.id();
      settled_ = 0;
      parents_.clear();
    }
    std::vector<const Trial*> parents = parents_;
    for (int64_t g = settled_; g < generation; ++g) {
      const std::vector<const Trial*> children =
          CompleteOf(TrialsBetween(finished, g * population_, (g + 1) * population_));
      parents.insert(parents.end(), children.begin(), children.end());
      parents = Select(parents, g);
      if (g == settled_ && AllFinished(finished, (g + 1) * population_)) {
        settled_ = g + 1;
        parents_ = parents;
      }
    }
    return parents;
  }

  std::vector<const Trial*> Select(std::vector<const Trial*> trials, int64_t generation) const {
    const auto population = static_cast<size_t>(population_);
    if (trials.size() <= population) return trials;
    std::vector<const Trial*> selected, infeasible;
    std::vector<const Trial*> feasible;
    for (const Trial* trial : trials)
      (Violation(*trial) > 0 ? infeasible : feasible).push_back(trial);
    std::vector<LossRow> losses, taken;
    for (const Trial* trial : feasible) losses.push_back(Losses(*trial, spec_.directions));
    const std::vector<int> ranks = NonDominatedRanks(losses);
    for (int rank = 0; selected.size() < population; ++rank) {
      std::vector<size_t> front;
      for (size_t i = 0; i < ranks.size(); ++i) {
        if (ranks[i] == rank) front.push_back(i);
      }
      if (front.empty()) break;
      if (selected.size() + front.size() > population) {
        std::vector<LossRow> candidates;
        for (size_t i : front) candidates.push_back(losses[i]);
        Draws draws(spec_.seed, -2 - generation);
        std::vector<size_t> thinned;
        for (size_t i : thin_(spec_, taken, candidates, population - selected.size(), draws)) {
          thinned.push_back(front[i]);
        }
        front = std::move(thinned);
      }
      for (size_t i : front) {
        selected.push_back(feasible[i]);
        taken.push_back(losses[i]);
      }
    }
    absl::c_stable_sort(
        infeasible, [](const Trial* a, const Trial* b) { return Violation(*a) < Violation(*b); });
    for (const Trial* trial : infeasible) {
      if (selected.size() < population) selected.push_back(trial);
    }
    return selected;
  }

  // Of two drawn parents the one that dominates, else the first.
  const Trial* Tournament(const std::vector<const Trial*>& parents, Draws& draws) const {
    const Trial* a = parents[draws.Index(parents.size())];
    const Trial* b = parents[draws.Index(parents.size())];
    const double va = Violation(*a), vb = Violation(*b);
    const bool second =
        va != vb ? vb < va : Dominates(Losses(*b, spec_.directions), Losses(*a, spec_.directions));
    return second ? b : a;
  }

  const SamplerSpec spec_;
  const Thin thin_;
  const int64_t population_;
  // The parents of generation `settled_`, of which every ancestor is finished.
  uint64_t history_ = 0;
  int64_t settled_ = 0;
  std::vector<const Trial*> parents_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Proposer>> MakeNsga2(const SamplerSpec& spec) {
  return std::make_unique<NsgaProposer>(spec, ThinByCrowding);
}

absl::StatusOr<std::unique_ptr<Proposer>> MakeNsga3(const SamplerSpec& spec) {
  return std::make_unique<NsgaProposer>(spec, ThinByReferences);
}

}  // namespace mase
