#include "mase/sampler/pareto.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/algorithm/container.h"

namespace mase {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<size_t> OrderOf(absl::Span<const LossRow> losses) {
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  absl::c_stable_sort(order, [&](size_t a, size_t b) { return losses[a] < losses[b]; });
  return order;
}

bool IsBelow(const LossRow& row, const LossRow& reference) {
  for (size_t i = 0; i < row.size(); ++i) {
    if (!(row[i] < reference[i])) return false;
  }
  return true;
}

std::vector<LossRow> FrontOf(absl::Span<const LossRow> losses) {
  std::vector<LossRow> front;
  for (size_t index : ParetoFront(losses)) front.push_back(losses[index]);
  absl::c_sort(front);
  front.erase(std::unique(front.begin(), front.end()), front.end());
  return front;
}

double BoxVolume(const LossRow& row, const LossRow& reference) {
  double volume = 1;
  for (size_t i = 0; i < row.size(); ++i) volume *= reference[i] - row[i];
  return volume;
}

// The volume of a front, its rows ascending, all below the reference.
double FrontVolume(absl::Span<const LossRow> front, const LossRow& reference) {
  if (front.empty()) return 0;
  if (reference.size() == 1) return reference[0] - front[0][0];
  double volume = 0;
  if (reference.size() == 2) {
    double ceiling = reference[1];
    for (const LossRow& row : front) {
      volume += (reference[0] - row[0]) * (ceiling - row[1]);
      ceiling = row[1];
    }
    return volume;
  }
  // Each row adds its box without what the rows behind it cover of that.
  for (size_t i = 0; i < front.size(); ++i) {
    std::vector<LossRow> covered;
    for (size_t j = i + 1; j < front.size(); ++j) {
      LossRow corner = front[j];
      for (size_t d = 0; d < corner.size(); ++d) corner[d] = std::max(corner[d], front[i][d]);
      covered.push_back(std::move(corner));
    }
    volume += BoxVolume(front[i], reference) - FrontVolume(FrontOf(covered), reference);
  }
  return volume;
}

// What `row` adds to the volume of `others`, whose rows ascend.
double Added(absl::Span<const LossRow> others, const LossRow& row, const LossRow& reference) {
  if (!IsBelow(row, reference)) return 0;
  if (row.size() != 2) {
    std::vector<LossRow> all(others.begin(), others.end());
    const double without = Hypervolume(all, reference);
    all.push_back(row);
    return std::max(0.0, Hypervolume(all, reference) - without);
  }
  double area = 0, left = row[0], ceiling = reference[1];
  for (const LossRow& other : others) {
    if (other[0] >= reference[0] || ceiling <= row[1]) break;
    if (other[0] > left) {
      area += (other[0] - left) * (ceiling - row[1]);
      left = other[0];
    }
    ceiling = std::min(ceiling, other[1]);
  }
  return area + (reference[0] - left) * std::max(0.0, ceiling - row[1]);
}

}  // namespace

bool Dominates(const LossRow& a, const LossRow& b) {
  bool better = false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    better = better || a[i] < b[i];
  }
  return better;
}

std::vector<int> NonDominatedRanks(absl::Span<const LossRow> losses) {
  std::vector<int> ranks(losses.size(), 0);
  // A row can only be dominated by rows before it in this order.
  const std::vector<size_t> order = OrderOf(losses);
  const auto equal_to_last = [&](size_t at) {
    return at > 0 && losses[order[at]] == losses[order[at - 1]];
  };
  if (!losses.empty() && losses[0].size() <= 2) {
    // Of each rank the least last objective so far, which ascends with the rank.
    std::vector<double> least;
    for (size_t at = 0; at < order.size(); ++at) {
      const size_t row = order[at];
      if (equal_to_last(at)) {
        ranks[row] = ranks[order[at - 1]];
        continue;
      }
      const double last = losses[row].size() == 2 ? losses[row][1] : 0;
      const auto rank = std::upper_bound(least.begin(), least.end(), last) - least.begin();
      ranks[row] = static_cast<int>(rank);
      if (rank == static_cast<int64_t>(least.size())) {
        least.push_back(last);
      } else {
        least[rank] = last;
      }
    }
    return ranks;
  }
  for (size_t at = 0; at < order.size(); ++at) {
    for (size_t before = 0; before < at; ++before) {
      const int rank = ranks[order[before]];
      if (rank >= ranks[order[at]] && Dominates(losses[order[before]], losses[order[at]])) {
        ranks[order[at]] = rank + 1;
      }
    }
  }
  return ranks;
}

std::vector<size_t> ParetoFront(absl::Span<const LossRow> losses) {
  const std::vector<int> ranks = NonDominatedRanks(losses);
  std::vector<size_t> front;
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] == 0) front.push_back(i);
  }
  return front;
}

std::vector<double> CrowdingDistances(absl::Span<const LossRow> losses) {
  std::vector<double> distances(losses.size(), 0);
  if (losses.empty()) return distances;
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t d = 0; d < losses[0].size(); ++d) {
    absl::c_stable_sort(order, [&](size_t a, size_t b) { return losses[a][d] < losses[b][d]; });
    const double range = losses[order.back()][d] - losses[order.front()][d];
    if (!(range > 0)) continue;
    distances[order.front()] = distances[order.back()] = kInfinity;
    for (size_t i = 1; i + 1 < order.size(); ++i) {
      distances[order[i]] += (losses[order[i + 1]][d] - losses[order[i - 1]][d]) / range;
    }
  }
  return distances;
}

double Hypervolume(absl::Span<const LossRow> losses, const LossRow& reference) {
  std::vector<LossRow> below;
  for (const LossRow& row : losses) {
    if (IsBelow(row, reference)) below.push_back(row);
  }
  return FrontVolume(FrontOf(below), reference);
}

std::vector<double> HypervolumeContributions(absl::Span<const LossRow> losses,
                                             const LossRow& reference) {
  std::vector<double> contributions(losses.size(), 0);
  const std::vector<size_t> order = OrderOf(losses);
  std::vector<LossRow> others;
  for (size_t at = 0; at < order.size(); ++at) {
    others.clear();
    for (size_t i = 0; i < order.size(); ++i) {
      if (i != at) others.push_back(losses[order[i]]);
    }
    contributions[order[at]] = Added(others, losses[order[at]], reference);
  }
  return contributions;
}

std::vector<size_t> GreedyHypervolumeSubset(absl::Span<const LossRow> losses, size_t count,
                                            const LossRow& reference) {
  std::vector<LossRow> rows;  // Chosen, ascending.
  std::vector<size_t> chosen;
  std::vector<bool> taken(losses.size(), false);
  // What a row adds never grows while others are chosen: a bound from an earlier round that is no
  // better than the best of this one spares the volume.
  std::vector<double> bounds(losses.size(), kInfinity);
  while (chosen.size() < count) {
    double best = -1;
    size_t best_index = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      if (taken[i] || bounds[i] <= best) continue;
      bounds[i] = Added(rows, losses[i], reference);
      if (bounds[i] > best) {
        best = bounds[i];
        best_index = i;
      }
    }
    taken[best_index] = true;
    chosen.push_back(best_index);
    rows.insert(absl::c_upper_bound(rows, losses[best_index]), losses[best_index]);
  }
  absl::c_sort(chosen);
  return chosen;
}

}  // namespace mase
