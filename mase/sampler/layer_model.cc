#include "mase/sampler/layer_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

// The index of the value that the reference has.
uint64_t ReferenceIndex(const SearchParameter& parameter) {
  if (parameter.kind != SearchParameter::Kind::kCategorical) return *parameter.size() - 1;
  const auto number = [](const ParameterChoice& choice) {
    if (const int64_t* whole = std::get_if<int64_t>(&choice)) return static_cast<double>(*whole);
    if (const double* real = std::get_if<double>(&choice)) return *real;
    return std::nan("");
  };
  uint64_t greatest = 0;
  for (size_t i = 0; i < parameter.choices.size(); ++i) {
    const double value = number(parameter.choices[i]);
    if (std::isnan(value)) return 0;
    if (value > number(parameter.choices[greatest])) greatest = i;
  }
  return greatest;
}

// All that the parameters of a layer can be, the reference first: one parameter after another, as
// those that depend on it follow it.
absl::StatusOr<std::vector<Point>> ChoicesOf(const ParameterSpace& space,
                                             const LayerPlan::Layer& layer) {
  std::vector<Point> partial = {Point(space.dimensions(), kInactive)};
  for (const int p : layer.parameters) {
    const SearchParameter& parameter = space[p];
    const absl::optional<uint64_t> size = parameter.size();
    if (!size.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tries each choice of a layer alone, and parameter '", parameter.name,
                       "' has infinitely many; give it a step or choices"));
    }
    std::vector<Point> next;
    for (const Point& point : partial) {
      if (!space.IsActive(p, point)) {
        next.push_back(point);
        continue;
      }
      const uint64_t reference = ReferenceIndex(parameter);
      for (uint64_t i = 0; i < *size; ++i) {
        if (next.size() >= static_cast<size_t>(kMostLayerChoices)) {
          return absl::InvalidArgumentError(absl::StrCat(
              "tries each choice of a layer alone, and ", layer.name, " has more than ",
              kMostLayerChoices, "; give it fewer, or use tpe or nsgaii"));
        }
        next.push_back(point);
        next.back()[p] = parameter.ValueAt((reference + i) % *size);
      }
    }
    partial = std::move(next);
  }
  std::vector<Point> choices;
  for (const Point& point : partial) {
    Point& choice = choices.emplace_back();
    for (const int p : layer.parameters) choice.push_back(point[p]);
  }
  return choices;
}

}  // namespace

absl::StatusOr<LayerPlan> LayerPlan::Create(const ParameterSpace& space) {
  LayerPlan plan;
  plan.dimensions_ = space.dimensions();
  absl::flat_hash_map<std::string, size_t> by_group;
  std::vector<size_t> layer_of;
  for (size_t i = 0; i < space.dimensions(); ++i) {
    const SearchParameter& parameter = space[i];
    size_t layer = plan.layers_.size();
    if (parameter.parent >= 0) {
      layer = layer_of[parameter.parent];
    } else if (!parameter.group.empty()) {
      layer = by_group.try_emplace(parameter.group, layer).first->second;
    }
    if (layer == plan.layers_.size()) {
      plan.layers_.emplace_back().name = parameter.group.empty() ? parameter.name : parameter.group;
    }
    plan.layers_[layer].parameters.push_back(static_cast<int>(i));
    layer_of.push_back(layer);
  }
  for (Layer& layer : plan.layers_) {
    MASE_ASSIGN_OR_RETURN(layer.choices, ChoicesOf(space, layer));
  }
  return plan;
}

Point LayerPlan::PointOf(absl::Span<const int> choices) const {
  Point point(dimensions_, kInactive);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    for (size_t j = 0; j < layer.parameters.size(); ++j) {
      point[layer.parameters[j]] = layer.choices[choices[i]][j];
    }
  }
  return point;
}

int64_t LayerPlan::size() const {
  int64_t size = 1;
  for (const Layer& layer : layers_) size += static_cast<int64_t>(layer.choices.size()) - 1;
  return size;
}

Point LayerPlan::PointAt(int64_t index) const {
  std::vector<int> choices(layers_.size(), 0);
  for (size_t i = 0; i < layers_.size() && index > 0; ++i) {
    const auto others = static_cast<int64_t>(layers_[i].choices.size()) - 1;
    if (index <= others) choices[i] = static_cast<int>(index);
    index -= others;
  }
  return PointOf(choices);
}

std::optional<LayerModel> LayerModel::Of(const LayerPlan& plan,
                                         const std::function<const Trial*(const Point&)>& trial_at,
                                         absl::Span<const Direction> directions, size_t error) {
  const Trial* reference = trial_at(plan.PointAt(0));
  if (reference == nullptr) return std::nullopt;
  const auto cost_of = [&](const Trial& trial) {
    if (trial.constraints.size() == 1) return trial.constraints[0];
    return directions.size() == 2 ? Losses(trial, directions)[1 - error] : 0.0;
  };
  const auto error_of = [&](const Trial& trial) { return Losses(trial, directions)[error]; };
  if (!std::isfinite(cost_of(*reference)) || !std::isfinite(error_of(*reference))) {
    return std::nullopt;
  }
  LayerModel model;
  model.reference_error = error_of(*reference);
  double at_most = 0, least = 0, size = std::abs(cost_of(*reference));
  int64_t next = 1;
  for (const LayerPlan::Layer& layer : plan.layers()) {
    LayerChoices& choices = model.layers.emplace_back();
    std::vector<int>& measured = model.measured.emplace_back();
    for (size_t c = 0; c < layer.choices.size(); ++c) {
      const Trial* trial = c == 0 ? reference : trial_at(plan.PointAt(next++));
      if (trial == nullptr) continue;
      const BitChoice choice = {cost_of(*trial) - cost_of(*reference),
                                error_of(*trial) - model.reference_error};
      if (!std::isfinite(choice.cost) || !std::isfinite(choice.error)) continue;
      choices.push_back(choice);
      measured.push_back(static_cast<int>(c));
    }
    const auto [low, high] = absl::c_minmax_element(
        choices, [](const BitChoice& a, const BitChoice& b) { return a.cost < b.cost; });
    const double cheapest = low->cost;
    at_most += high->cost - cheapest;
    least += cheapest;
    size += std::abs(cheapest);
    for (BitChoice& choice : choices) choice.cost -= cheapest;
  }
  // What is left to spend, but for the rounding of sums.
  model.limit = reference->constraints.size() == 1
                    ? std::min(at_most, 1e-9 * size - cost_of(*reference) - least)
                    : at_most;
  return model;
}

std::vector<int> LayerModel::Choices(absl::Span<const int> allocated) const {
  std::vector<int> choices;
  for (size_t i = 0; i < allocated.size(); ++i) choices.push_back(measured[i][allocated[i]]);
  return choices;
}

Table AllocationTable(const LayerPlan& plan, const TrialHistory& history,
                      absl::Span<const Trial* const> best, absl::Span<const Direction> directions,
                      size_t error, const std::string& error_name) {
  const bool maximize = directions[error] == Direction::kMaximize;
  const double sign = maximize ? -1 : 1;
  Table table("allocations", absl::StrCat("What layers alone foretell of ", error_name),
              {{"trial"},
               {.name = "measured"},
               {.name = "foretold"},
               {.name = "best foretold at its cost"},
               {.name = "gap"},
               {"proven"}});
  absl::flat_hash_map<Point, const Trial*> by_point;
  for (const Trial& trial : history.arrivals()) {
    if (trial.state == TrialState::kComplete) by_point.emplace(PointKey(trial.point), &trial);
  }
  const auto trial_at = [&by_point](const Point& point) -> const Trial* {
    const auto found = by_point.find(PointKey(point));
    return found == by_point.end() ? nullptr : found->second;
  };
  const std::optional<LayerModel> model = LayerModel::Of(plan, trial_at, directions, error);
  if (!model.has_value()) return table;
  for (const Trial* trial : best) {
    BitChoice sum;
    bool foretold = true;
    for (size_t i = 0; i < plan.layers().size() && foretold; ++i) {
      const LayerPlan::Layer& layer = plan.layers()[i];
      Point own;
      for (const int p : layer.parameters) own.push_back(trial->point[p]);
      const auto entry = absl::c_find_if(
          model->measured[i], [&](int c) { return PointKey(layer.choices[c]) == PointKey(own); });
      foretold = entry != model->measured[i].end();
      if (!foretold) break;
      const BitChoice& choice = model->layers[i][entry - model->measured[i].begin()];
      sum.cost += choice.cost;
      sum.error += choice.error;
    }
    if (!foretold) continue;
    const absl::StatusOr<Allocation> optimum = AllocateBits(model->layers, sum.cost);
    if (!optimum.ok()) continue;
    const auto figure = [&](double of_layers) {
      return sign * (model->reference_error + of_layers);
    };
    table.AddRow({trial->number, trial->values[error], figure(sum.error), figure(optimum->bound),
                  std::max(0.0, sum.error - optimum->bound), optimum->gap() == 0});
  }
  return table;
}

}  // namespace mase
