#include "mase/sampler/layer_model.h"

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/sampler/sampler.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SearchParameter Width(const std::string& layer, const std::string& key,
                      std::vector<ParameterChoice> widths) {
  SearchParameter parameter = CategoricalParameter(layer + "/config/" + key, std::move(widths));
  parameter.group = layer;
  return parameter;
}

// Three layers with 4, 3 and 3 choices: 36 points.
ParameterSpace Widths() {
  return ValueOrDie(ParameterSpace::Create(
      {Width("a", "weight_width", {2, 8}), Width("a", "bias_width", {2, 4}),
       Width("b", "weight_width", {8, 4, 2}), Width("c", "weight_width", {2, 4, 8})}));
}

// What a layer's choices lose and cost; both are sums over the layers of a net.
struct Additive {
  double error_a[2][2] = {{9, 7}, {3, 0}}, cost_a[2][2] = {{20, 30}, {80, 90}};
  double error_b[3] = {0, 2, 9}, cost_b[3] = {160, 80, 40};
  double error_c[3] = {6, 5, 1}, cost_c[3] = {10, 20, 40};

  double Error(const Point& p) const {
    return error_a[size_t(p[0])][size_t(p[1])] + error_b[size_t(p[2])] + error_c[size_t(p[3])];
  }
  double Cost(const Point& p) const {
    return cost_a[size_t(p[0])][size_t(p[1])] + cost_b[size_t(p[2])] + cost_c[size_t(p[3])];
  }
};

Trial Measured(int64_t number, const Point& point, double budget) {
  const Additive net;
  return {.number = number,
          .state = TrialState::kComplete,
          .point = point,
          .values = {-net.Error(point)},
          .constraints = {net.Cost(point) - budget}};
}

double LeastError(const ParameterSpace& space, double budget) {
  const Additive net;
  double least = 1e9;
  for (uint64_t i = 0; i < *space.size(); ++i) {
    const Point point = space.PointAt(i);
    if (net.Cost(point) <= budget) least = std::min(least, net.Error(point));
  }
  return least;
}

TEST(LayerPlanTest, TriesEachChoiceOfEachLayerBesideTheReference) {
  const LayerPlan plan = ValueOrDie(LayerPlan::Create(Widths()));
  ASSERT_EQ(plan.layers().size(), 3u);
  EXPECT_EQ(plan.size(), 1 + 3 + 2 + 2);
  EXPECT_THAT(plan.PointAt(0), ElementsAre(1, 1, 0, 2));  // The greatest of each.
  EXPECT_THAT(plan.PointAt(1), ElementsAre(1, 0, 0, 2));
  EXPECT_THAT(plan.PointAt(4), ElementsAre(1, 1, 1, 2));
  EXPECT_THAT(plan.PointAt(7), ElementsAre(1, 1, 0, 1));
}

TEST(LayerPlanTest, WhatDependsOnALayerIsOfIt) {
  SearchParameter depends = IntegerParameter("depends", 1, 3);
  depends.parent = 0;
  depends.parent_values = {1};
  const ParameterSpace space = ValueOrDie(ParameterSpace::Create(
      {CategoricalParameter("kind", {{}, std::string("integer")}), depends}));
  const LayerPlan plan = ValueOrDie(LayerPlan::Create(space));
  ASSERT_EQ(plan.layers().size(), 1u);
  EXPECT_EQ(plan.size(), 4);
  for (int64_t i = 0; i < plan.size(); ++i) EXPECT_OK(space.Check(plan.PointAt(i)));
}

TEST(LayerPlanTest, RefusesWhatCannotBeTriedOneByOne) {
  SamplerSettings settings;
  settings.set_name("allocator");
  const auto make = [&settings](std::vector<SearchParameter> parameters) {
    return MakeSampler(settings, ValueOrDie(ParameterSpace::Create(std::move(parameters))),
                       {Direction::kMinimize}, 0);
  };
  std::vector<SearchParameter> wide = {IntegerParameter("x", 1, 100),
                                       IntegerParameter("y", 1, 100)};
  wide[0].group = wide[1].group = "fc";
  EXPECT_THAT(make(wide), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("sampler allocator tries each choice of a layer "
                                             "alone, and fc has more than 4096")));
  EXPECT_THAT(
      make({RealParameter("rate", 0, 1)}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'rate' has infinitely many")));
}

// The next trial after the single layers, for every budget: the optimum, by the exact one.
TEST(AllocationSamplersTest, FindTheOptimumOfEveryBudget) {
  const ParameterSpace space = Widths();
  const Additive net;
  int optimal = 0, budgets = 0;
  for (double budget = 70; budget <= 290; budget += 10) {
    for (const std::string name : {"allocator", "greedy"}) {
      SamplerSettings settings;
      settings.set_name(name);
      const auto sampler = ValueOrDie(MakeSampler(settings, space, {Direction::kMaximize}, 0));
      TrialHistory history;
      double least = 1e9;
      for (int64_t k = 0; k < 9; ++k) {
        const Point point = ValueOrDie(sampler->Sample(k, history, {}));
        Trial trial = Measured(k, point, budget);
        if (Violation(trial) == 0) least = std::min(least, net.Error(point));
        history.Add(std::move(trial));
      }
      const bool is_optimal = least == LeastError(space, budget);
      if (name == "allocator") {
        EXPECT_TRUE(is_optimal) << budget << ": " << least;
      } else {
        optimal += is_optimal;
        ++budgets;
      }
    }
  }
  EXPECT_LT(optimal, budgets);  // Greedy is not.
  EXPECT_GT(optimal, budgets / 2);
}

TEST(AllocationSamplersTest, TellWhatLayersForetell) {
  const ParameterSpace space = Widths();
  const LayerPlan plan = ValueOrDie(LayerPlan::Create(space));
  TrialHistory history;
  for (int64_t k = 0; k < plan.size(); ++k) history.Add(Measured(k, plan.PointAt(k), 150));
  history.Add(Measured(8, {1, 1, 2, 1}, 150));  // Loses 14 for 150, where 10 can be had.
  const Trial* trial = history.Find(8);
  const Table table =
      AllocationTable(plan, history, {&trial, 1}, {Direction::kMaximize}, 0, "accuracy");
  EXPECT_EQ(LeastError(space, 150), 10);
  EXPECT_EQ(table.Csv(),
            "trial,measured,foretold,best foretold at its cost,gap,proven\n"
            "8,-14,-14,-10,4,true\n");
}

TEST(AllocationSamplersTest, WithoutAReferenceThereIsNoModel) {
  const LayerPlan plan = ValueOrDie(LayerPlan::Create(Widths()));
  Trial trial = Measured(0, plan.PointAt(0), 150);
  const auto model_of = [&] {
    return LayerModel::Of(
        plan, [&](const Point& point) { return point == trial.point ? &trial : nullptr; },
        {Direction::kMaximize}, 0);
  };
  ASSERT_TRUE(model_of().has_value());
  EXPECT_THAT(model_of()->measured[0], ElementsAre(0));  // Of what was not measured nothing.
  trial.constraints[0] = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(model_of().has_value());
}

TEST(AllocationSamplersTest, TwoObjectivesAreWalkedFromTheLeastErrorToTheLeastCost) {
  const ParameterSpace space = Widths();
  const Additive net;
  SamplerSettings settings;
  settings.set_name("allocator");
  const auto sampler = ValueOrDie(
      MakeSampler(settings, space, {Direction::kMinimize, Direction::kMaximize}, 0, /*error=*/1));
  TrialHistory history;
  for (int64_t k = 0; k < 20; ++k) {
    const Point point = ValueOrDie(sampler->Sample(k, history, {}));
    history.Add({.number = k,
                 .state = TrialState::kComplete,
                 .point = point,
                 .values = {net.Cost(point), -net.Error(point)}});
    if (k < 8) continue;
    EXPECT_EQ(net.Error(point), LeastError(space, net.Cost(point))) << k;
    if (k == 15) break;
  }
}

}  // namespace
}  // namespace mase
