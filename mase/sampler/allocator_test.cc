#include "mase/sampler/allocator.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/sampler/draws.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<LayerChoices> RandomLayers(int64_t seed, size_t count, size_t choices, bool whole) {
  Draws draws(3, seed);
  std::vector<LayerChoices> layers(count);
  for (LayerChoices& layer : layers) {
    for (size_t c = 0; c < choices; ++c) {
      layer.push_back({whole ? static_cast<double>(draws.Index(20)) : draws.Unit(), draws.Unit()});
    }
  }
  return layers;
}

// Tries everything.
double LeastError(const std::vector<LayerChoices>& layers, double budget, size_t layer = 0) {
  if (budget < 0) return std::numeric_limits<double>::infinity();
  if (layer == layers.size()) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const BitChoice& choice : layers[layer]) {
    least = std::min(least, choice.error + LeastError(layers, budget - choice.cost, layer + 1));
  }
  return least;
}

TEST(AllocatorTest, TheExampleOfTheHeader) {
  const std::vector<LayerChoices> layers = {{{32, 0.9}, {64, 0.1}}, {{128, 0.4}, {256, 0.3}}};
  const Allocation best = ValueOrDie(AllocateBits(layers, 200));
  EXPECT_THAT(best.choices, ElementsAre(1, 0));
  EXPECT_EQ(best.cost, 192);
  EXPECT_EQ(best.error, 0.5);
  EXPECT_EQ(best.gap(), 0);
}

TEST(AllocatorTest, NothingThatExistsIsBetter) {
  for (int64_t seed = 0; seed < 60; ++seed) {
    const auto layers = RandomLayers(seed, 6, 4, /*whole=*/true);
    for (double budget : {30.0, 45.0, 60.0, 1000.0}) {
      const auto best = AllocateBits(layers, budget);
      const double least = LeastError(layers, budget);
      if (!best.ok()) {
        EXPECT_EQ(least, std::numeric_limits<double>::infinity());
        continue;
      }
      EXPECT_LE(best->cost, budget);
      EXPECT_NEAR(best->error, least, 1e-12);
      EXPECT_EQ(best->gap(), 0);
    }
  }
}

TEST(AllocatorTest, GreedyIsNoBetterAndItsGapIsTrue) {
  double worse = 0;
  for (int64_t seed = 0; seed < 40; ++seed) {
    const auto layers = RandomLayers(seed, 12, 5, /*whole=*/false);
    const Allocation greedy = ValueOrDie(GreedyAllocation(layers, 4));
    const Allocation best = ValueOrDie(AllocateBits(layers, 4));
    EXPECT_LE(greedy.cost, 4);
    EXPECT_LE(best.error, greedy.error + 1e-12);
    EXPECT_LE(greedy.bound, best.error + 1e-12);
    worse += greedy.error - best.error;
  }
  EXPECT_GT(worse, 0.1);
}

TEST(AllocatorTest, LargeNetsAreSolvedToo) {
  const auto layers = RandomLayers(5, 200, 8, /*whole=*/false);
  const Allocation best = ValueOrDie(AllocateBits(layers, 60));
  EXPECT_LE(best.cost, 60);
  EXPECT_EQ(best.gap(), 0);
  const Allocation stopped = ValueOrDie(AllocateBits(layers, 60, /*most_partial=*/10));
  EXPECT_GE(stopped.gap(), 0);
  EXPECT_LE(stopped.bound, best.error);
  EXPECT_LT(stopped.gap(), 0.05);
}

TEST(AllocatorTest, WhatCannotBeAllocatedIsSaid) {
  EXPECT_THAT(AllocateBits({}, 1), StatusIs(absl::StatusCode::kInvalidArgument));
  const std::vector<LayerChoices> layers = {{{2, 1}}, {{3, 1}, {4, 0}}};
  EXPECT_THAT(AllocateBits(layers, 4.5),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cheapest choices cost 5")));
  EXPECT_THAT(AllocateBits(std::vector<LayerChoices>{{}}, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("layer 0 has no choices")));
  EXPECT_THAT(AllocateBits(std::vector<LayerChoices>{{{-1, 0}}}, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cost -1")));
}

}  // namespace
}  // namespace mase
