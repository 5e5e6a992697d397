#include "mase/search/search_plots.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/interop/svg_curves.h"
#include "mase/sampler/pareto.h"
#include "mase/search/importance.h"

namespace mase {
namespace {

constexpr double kNearBest = 0.99;

bool Counts(const Trial& trial) {
  return trial.state == TrialState::kComplete && Violation(trial) == 0;
}

std::string QualityName(const Objective& objective) {
  return objective.names().size() == 1 ? absl::StrCat("best ", objective.names()[0], " so far")
                                       : "hypervolume of the front";
}

// The value of the middle seed after each trial, and the least and greatest.
struct Band {
  std::vector<double> low, median, high;
};
Band BandOf(const std::vector<std::vector<double>>& curves) {
  Band band;
  size_t longest = 0;
  for (const auto& curve : curves) longest = std::max(longest, curve.size());
  for (size_t i = 0; i < longest; ++i) {
    std::vector<double> values;
    for (const auto& curve : curves) {
      if (!curve.empty()) values.push_back(curve[std::min(i, curve.size() - 1)]);
    }
    absl::c_sort(values, [](double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; });
    band.low.push_back(values.front());
    band.median.push_back(values[(values.size() - 1) / 2]);
    band.high.push_back(values.back());
  }
  return band;
}

std::vector<std::pair<double, double>> PointsOf(const std::vector<double>& curve) {
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < curve.size(); ++i) {
    if (!std::isnan(curve[i])) points.emplace_back(static_cast<double>(i + 1), curve[i]);
  }
  return points;
}

}  // namespace

std::vector<double> ReferenceOf(absl::Span<const Trial* const> trials,
                                absl::Span<const Direction> directions) {
  std::vector<double> low(directions.size(), std::numeric_limits<double>::infinity());
  std::vector<double> high(directions.size(), -std::numeric_limits<double>::infinity());
  for (const Trial* trial : trials) {
    if (!Counts(*trial)) continue;
    const std::vector<double> losses = Losses(*trial, directions);
    for (size_t i = 0; i < losses.size(); ++i) {
      low[i] = std::min(low[i], losses[i]);
      high[i] = std::max(high[i], losses[i]);
    }
  }
  for (size_t i = 0; i < high.size(); ++i) {
    const double range = high[i] - low[i];
    high[i] += std::isfinite(range) && range > 0 ? 0.1 * range : 1;
  }
  return high;
}

std::vector<double> QualityCurve(absl::Span<const Trial* const> trials,
                                 absl::Span<const Direction> directions,
                                 const std::vector<double>& reference) {
  std::vector<double> curve;
  double quality = std::nan("");
  std::vector<LossRow> front;
  for (const Trial* trial : trials) {
    if (Counts(*trial)) {
      if (directions.size() == 1) {
        const double value = trial->values[0];
        const bool maximize = directions[0] == Direction::kMaximize;
        if (std::isnan(quality) || (maximize ? value > quality : value < quality)) quality = value;
      } else {
        const LossRow row = Losses(*trial, directions);
        const bool beaten = absl::c_any_of(
            front, [&row](const LossRow& other) { return other == row || Dominates(other, row); });
        if (!beaten) {
          front.erase(
              std::remove_if(front.begin(), front.end(),
                             [&row](const LossRow& other) { return Dominates(row, other); }),
              front.end());
          front.push_back(row);
          quality = Hypervolume(front, reference);
        }
      }
    }
    curve.push_back(quality);
  }
  return curve;
}

Picture QualityPicture(absl::Span<const Trial* const> trials, const Objective& objective) {
  const auto& directions = objective.directions();
  const std::vector<double> curve =
      QualityCurve(trials, directions, ReferenceOf(trials, directions));
  const std::string name = QualityName(objective);
  return {.title = "Search",
          .x_label = "trials",
          .y_label = name,
          .whole_x = true,
          .x_names = {},
          .curves = {{name, PointsOf(curve), Curve::Look::kLine, {}}}};
}

Picture FrontPicture(absl::Span<const Trial* const> trials, absl::Span<const Trial* const> front,
                     const Objective& objective) {
  Curve all{"trials", {}, Curve::Look::kDots, {}}, best{"front", {}, Curve::Look::kLine, {}};
  for (const Trial* trial : trials) {
    if (Counts(*trial)) all.points.emplace_back(trial->values[1], trial->values[0]);
  }
  for (const Trial* trial : front) best.points.emplace_back(trial->values[1], trial->values[0]);
  absl::c_sort(best.points);
  return {.title = "Trials and their front",
          .x_label = absl::StrCat(objective.names()[1], " (scaled)"),
          .y_label = absl::StrCat(objective.names()[0], " (scaled)"),
          .whole_x = false,
          .x_names = {},
          .curves = {std::move(all), std::move(best)}};
}

Table ImportanceTable(absl::Span<const Trial* const> trials, const SearchSpace& space,
                      const Objective& objective, uint64_t seed) {
  std::vector<Column> columns = {{"choice"}};
  for (const std::string& name : objective.names()) columns.push_back({name, "%", 1});
  Table table("importances", "What the choices matter to", std::move(columns));
  const ParameterSpace& parameters = space.parameters();
  std::vector<std::vector<double>> shares;
  std::vector<double> sums(parameters.dimensions());
  for (size_t i = 0; i < objective.names().size(); ++i) {
    const auto importances = ParameterImportances(parameters, trials, i, seed);
    if (!importances.ok()) return table;
    for (size_t j = 0; j < sums.size(); ++j) sums[j] += (*importances)[j];
    shares.push_back(*importances);
  }
  std::vector<size_t> order(sums.size());
  std::iota(order.begin(), order.end(), size_t{0});
  absl::c_stable_sort(order, [&sums](size_t a, size_t b) { return sums[a] > sums[b]; });
  for (const size_t j : order) {
    if (parameters[j].size() == uint64_t{1}) continue;
    std::vector<Cell> row = {parameters[j].name};
    for (const auto& share : shares) row.push_back(100 * share[j]);
    table.AddRow(std::move(row));
  }
  return table;
}

Table CompareTable(absl::Span<const SamplerCurves> samplers, const Objective& objective) {
  Table table("compare", "Samplers compared",
              {{"sampler"},
               {"seeds"},
               {"trials"},
               {.name = QualityName(objective)},
               {"trials to 99 % of the best"}});
  const bool minimize =
      objective.directions().size() == 1 && objective.directions()[0] == Direction::kMinimize;
  double best = std::nan("");
  for (const SamplerCurves& sampler : samplers) {
    for (const auto& curve : sampler.curves) {
      if (curve.empty() || std::isnan(curve.back())) continue;
      const double end = curve.back();
      if (std::isnan(best) || (minimize ? end < best : end > best)) best = end;
    }
  }
  for (const SamplerCurves& sampler : samplers) {
    const Band band = BandOf(sampler.curves);
    std::vector<size_t> needed;
    for (const auto& curve : sampler.curves) {
      const double limit = best - std::abs(best) * (1 - kNearBest) * (minimize ? -1 : 1);
      const auto found = absl::c_find_if(
          curve, [&](double value) { return minimize ? value <= limit : value >= limit; });
      needed.push_back(found == curve.end() ? std::numeric_limits<size_t>::max()
                                            : static_cast<size_t>(found - curve.begin()) + 1);
    }
    absl::c_sort(needed);
    const size_t middle = needed.empty() ? 0 : needed[(needed.size() - 1) / 2];
    table.AddRow(
        {sampler.sampler, sampler.curves.size(), band.median.size(),
         band.median.empty() ? Cell() : Cell(band.median.back()),
         middle == std::numeric_limits<size_t>::max() ? Cell("not reached") : Cell(middle)});
  }
  return table;
}

Picture ComparePicture(absl::Span<const SamplerCurves> samplers, const Objective& objective) {
  std::vector<Curve> curves;
  for (const SamplerCurves& sampler : samplers) {
    const Band band = BandOf(sampler.curves);
    curves.push_back({sampler.sampler, PointsOf(band.median), Curve::Look::kLine, {}});
    if (sampler.curves.size() < 2) continue;
    // There and back again.
    std::vector<std::pair<double, double>> around = PointsOf(band.low);
    const std::vector<std::pair<double, double>> high = PointsOf(band.high);
    around.insert(around.end(), high.rbegin(), high.rend());
    curves.push_back({sampler.sampler, std::move(around), Curve::Look::kBand, {}});
  }
  return {.title = "Samplers compared: medians of the seeds, least to greatest shaded",
          .x_label = "trials",
          .y_label = QualityName(objective),
          .whole_x = true,
          .x_names = {},
          .curves = std::move(curves)};
}

}  // namespace mase
