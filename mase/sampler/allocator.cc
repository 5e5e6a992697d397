#include "mase/sampler/allocator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double CheapestOf(const LayerChoices& layer) {
  double cheapest = kInfinity;
  for (const BitChoice& choice : layer) cheapest = std::min(cheapest, choice.cost);
  return cheapest;
}

absl::Status Check(absl::Span<const LayerChoices> layers, double budget) {
  if (layers.empty()) return absl::InvalidArgumentError("no layers to give bits to");
  double least = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].empty()) {
      return absl::InvalidArgumentError(absl::StrCat("layer ", i, " has no choices"));
    }
    for (const BitChoice& choice : layers[i]) {
      if (!std::isfinite(choice.cost) || !std::isfinite(choice.error) || choice.cost < 0) {
        return absl::InvalidArgumentError(absl::StrCat("layer ", i, ": a choice has cost ",
                                                       choice.cost, " and error ", choice.error,
                                                       "; both must be finite, costs not below 0"));
      }
    }
    least += CheapestOf(layers[i]);
  }
  if (!(least <= budget)) {
    return absl::InvalidArgumentError(absl::StrCat("no allocation keeps the budget ", budget,
                                                   ": the cheapest choices cost ", least));
  }
  return absl::OkStatus();
}

// With cost and error summed in the order of the layers, as the dynamic programme does.
Allocation Sum(absl::Span<const LayerChoices> layers, std::vector<int> choices) {
  Allocation sum;
  for (size_t i = 0; i < layers.size(); ++i) {
    sum.cost += layers[i][choices[i]].cost;
    sum.error += layers[i][choices[i]].error;
  }
  sum.choices = std::move(choices);
  return sum;
}

// One price for all layers: each takes the choice for which error + price * cost is least. The
// relaxation's best price, what it proves, and the best allocation seen on the way.
struct Relaxed {
  double price = 0;
  double bound = -kInfinity;
  Allocation feasible;
};

Relaxed Relax(absl::Span<const LayerChoices> layers, double budget) {
  Relaxed relaxed;
  relaxed.feasible.error = kInfinity;
  const auto at = [&](double price) {
    std::vector<int> choices;
    double sum = 0;
    for (const LayerChoices& layer : layers) {
      int best = 0;
      const auto value = [&](int c) { return layer[c].error + price * layer[c].cost; };
      for (int c = 1; c < static_cast<int>(layer.size()); ++c) {
        if (value(c) < value(best) ||
            (value(c) == value(best) && layer[c].cost < layer[best].cost)) {
          best = c;
        }
      }
      choices.push_back(best);
      sum += value(best);
    }
    const Allocation allocation = Sum(layers, std::move(choices));
    if (sum - price * budget > relaxed.bound) {
      relaxed.bound = sum - price * budget;
      relaxed.price = price;
    }
    const bool fits = allocation.cost <= budget;
    if (fits && allocation.error < relaxed.feasible.error) relaxed.feasible = allocation;
    return fits;
  };
  if (at(0)) return relaxed;
  // A price at which the cheapest choices are taken, and then halves of the interval.
  double low = 0, high = 1;
  while (!at(high) && high < 1e300) high *= 4;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (at(middle) ? high : low) = middle;
  }
  if (!std::isfinite(relaxed.feasible.error)) {
    std::vector<int> cheapest;
    for (const LayerChoices& layer : layers) {
      cheapest.push_back(static_cast<int>(
          absl::c_min_element(layer, [](const auto& a, const auto& b) { return a.cost < b.cost; }) -
          layer.begin()));
    }
    relaxed.feasible = Sum(layers, std::move(cheapest));
  }
  return relaxed;
}

// A partial allocation: of the layers so far.
struct Partial {
  double cost, error;
  int32_t parent;  // Its index among those of one layer less.
  int32_t choice;
};

// All that none other beats, by ascending cost; `keep` rules out the rest. nullopt: too many.
absl::optional<std::vector<std::vector<Partial>>> Program(
    absl::Span<const LayerChoices> layers, int64_t most_partial,
    absl::FunctionRef<bool(size_t layer, const Partial& partial)> keep) {
  std::vector<std::vector<Partial>> levels = {{{0, 0, -1, -1}}};
  int64_t kept = 1;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const std::vector<Partial>& last = levels.back();
    std::vector<Partial> next;
    for (size_t parent = 0; parent < last.size(); ++parent) {
      for (size_t c = 0; c < layers[layer].size(); ++c) {
        const Partial partial = {last[parent].cost + layers[layer][c].cost,
                                 last[parent].error + layers[layer][c].error,
                                 static_cast<int32_t>(parent), static_cast<int32_t>(c)};
        if (keep(layer, partial)) next.push_back(partial);
      }
      if (static_cast<int64_t>(next.size()) + kept > 4 * most_partial) return absl::nullopt;
    }
    absl::c_stable_sort(next, [](const Partial& a, const Partial& b) {
      return a.cost != b.cost ? a.cost < b.cost : a.error < b.error;
    });
    std::vector<Partial> front;
    for (const Partial& partial : next) {
      if (front.empty() || partial.error < front.back().error) front.push_back(partial);
    }
    kept += static_cast<int64_t>(front.size());
    if (kept > most_partial) return absl::nullopt;
    levels.push_back(std::move(front));
  }
  return levels;
}

std::vector<int> TraceBack(const std::vector<std::vector<Partial>>& levels, size_t last) {
  std::vector<int> choices(levels.size() - 1);
  for (size_t level = levels.size() - 1; level > 0; --level) {
    choices[level - 1] = levels[level][last].choice;
    last = levels[level][last].parent;
  }
  return choices;
}

}  // namespace

absl::StatusOr<Allocation> AllocateBits(absl::Span<const LayerChoices> layers, double budget,
                                        int64_t most_partial) {
  MASE_RETURN_IF_ERROR(Check(layers, budget));
  const Relaxed relaxed = Relax(layers, budget);
  // From each layer on: the least cost, and the least error + price * cost.
  std::vector<double> cost_left(layers.size() + 1, 0), value_left(layers.size() + 1, 0);
  for (size_t i = layers.size(); i-- > 0;) {
    double value = kInfinity;
    for (const BitChoice& choice : layers[i]) {
      value = std::min(value, choice.error + relaxed.price * choice.cost);
    }
    cost_left[i] = cost_left[i + 1] + CheapestOf(layers[i]);
    value_left[i] = value_left[i + 1] + value;
  }
  // Sums in another order differ in their last bits.
  const double known = relaxed.feasible.error;
  const double slack =
      1e-9 * (std::abs(known) + std::abs(relaxed.price * budget) + std::abs(value_left[0]));
  const double over = 1e-12 * std::abs(budget);
  const auto levels = Program(layers, most_partial, [&](size_t layer, const Partial& partial) {
    if (partial.cost + cost_left[layer + 1] > budget + over) return false;
    const double least =
        partial.error + relaxed.price * (partial.cost - budget) + value_left[layer + 1];
    return least <= known + slack;
  });
  Allocation best = relaxed.feasible;
  if (!levels.has_value()) {
    best.bound = std::min(relaxed.bound, best.error);
    return best;
  }
  const std::vector<Partial>& whole = levels->back();
  for (size_t i = whole.size(); i-- > 0;) {
    if (whole[i].cost > budget) continue;
    Allocation found = Sum(layers, TraceBack(*levels, i));
    if (found.error <= best.error) best = std::move(found);
    break;
  }
  best.bound = best.error;
  return best;
}

absl::StatusOr<Allocation> GreedyAllocation(absl::Span<const LayerChoices> layers, double budget) {
  MASE_RETURN_IF_ERROR(Check(layers, budget));
  std::vector<int> choices;
  for (const LayerChoices& layer : layers) {
    choices.push_back(static_cast<int>(
        absl::c_min_element(layer,
                            [](const BitChoice& a, const BitChoice& b) {
                              return a.error != b.error ? a.error < b.error : a.cost < b.cost;
                            }) -
        layer.begin()));
  }
  const double bound = Relax(layers, budget).bound;
  while (true) {
    Allocation now = Sum(layers, choices);
    now.bound = std::min(bound, now.error);
    if (now.cost <= budget) return now;
    double least = kInfinity;
    size_t layer = 0;
    int choice = -1;
    for (size_t i = 0; i < layers.size(); ++i) {
      const BitChoice& from = layers[i][choices[i]];
      for (int c = 0; c < static_cast<int>(layers[i].size()); ++c) {
        const double saved = from.cost - layers[i][c].cost;
        if (!(saved > 0)) continue;
        const double price = (layers[i][c].error - from.error) / saved;
        if (price < least) {
          least = price;
          layer = i;
          choice = c;
        }
      }
    }
    choices[layer] = choice;
  }
}

}  // namespace mase
