#include "mase/sampler/pareto.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/sampler/draws.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

// The definitions as they read: cubic in time.
std::vector<int> RanksByDefinition(const std::vector<LossRow>& losses) {
  std::vector<int> ranks(losses.size(), -1);
  for (int rank = 0;; ++rank) {
    std::vector<size_t> front;
    for (size_t i = 0; i < losses.size(); ++i) {
      if (ranks[i] >= 0) continue;
      bool dominated = false;
      for (size_t j = 0; j < losses.size(); ++j) {
        dominated = dominated || (ranks[j] < 0 && Dominates(losses[j], losses[i]));
      }
      if (!dominated) front.push_back(i);
    }
    if (front.empty()) return ranks;
    for (size_t i : front) ranks[i] = rank;
  }
}

// Counts the cells of a grid of whole numbers.
double VolumeByCounting(const std::vector<LossRow>& losses, int reference, size_t objectives) {
  double count = 0;
  const auto cells = static_cast<int64_t>(std::pow(reference, objectives));
  for (int64_t cell = 0; cell < cells; ++cell) {
    LossRow corner(objectives);
    int64_t rest = cell;
    for (double& x : corner) {
      x = static_cast<double>(rest % reference);
      rest /= reference;
    }
    for (const LossRow& row : losses) {
      bool covers = true;
      for (size_t i = 0; i < objectives; ++i) covers = covers && row[i] <= corner[i];
      if (covers) {
        ++count;
        break;
      }
    }
  }
  return count;
}

std::vector<LossRow> WholeRows(int64_t seed, size_t count, size_t objectives, int limit) {
  Draws draws(1, seed);
  std::vector<LossRow> rows(count, LossRow(objectives));
  for (LossRow& row : rows) {
    for (double& value : row) value = static_cast<double>(draws.Index(limit));
  }
  return rows;
}

TEST(ParetoTest, RanksAreThoseOfTheDefinition) {
  for (size_t objectives = 1; objectives <= 4; ++objectives) {
    for (int64_t seed = 0; seed < 30; ++seed) {
      const auto rows = WholeRows(seed, 40, objectives, seed % 2 == 0 ? 6 : 1000);
      EXPECT_EQ(NonDominatedRanks(rows), RanksByDefinition(rows)) << objectives << " " << seed;
    }
  }
}

TEST(ParetoTest, HypervolumesAreThoseOfCounting) {
  for (size_t objectives = 1; objectives <= 4; ++objectives) {
    for (int64_t seed = 0; seed < 20; ++seed) {
      const auto rows = WholeRows(seed, 8, objectives, 9);
      EXPECT_DOUBLE_EQ(Hypervolume(rows, LossRow(objectives, 8)),
                       VolumeByCounting(rows, 8, objectives))
          << objectives << " " << seed;
    }
  }
}

TEST(ParetoTest, ContributionsAreDifferencesOfHypervolumes) {
  for (size_t objectives = 1; objectives <= 3; ++objectives) {
    for (int64_t seed = 0; seed < 20; ++seed) {
      const auto rows = WholeRows(seed, 7, objectives, 9);
      const LossRow reference(objectives, 8);
      const std::vector<double> added = HypervolumeContributions(rows, reference);
      for (size_t i = 0; i < rows.size(); ++i) {
        auto others = rows;
        others.erase(others.begin() + static_cast<int64_t>(i));
        EXPECT_DOUBLE_EQ(added[i], Hypervolume(rows, reference) - Hypervolume(others, reference));
      }
    }
  }
}

TEST(ParetoTest, AGreedySubsetTakesWhatAddsMost) {
  const std::vector<LossRow> rows = {{0, 9}, {1, 5}, {2, 4}, {5, 1}, {9, 0}};
  EXPECT_THAT(GreedyHypervolumeSubset(rows, 2, {10, 10}), ElementsAre(2, 3));
  EXPECT_THAT(GreedyHypervolumeSubset(rows, 5, {10, 10}), ElementsAre(0, 1, 2, 3, 4));
}

TEST(ParetoTest, TheEndsOfAFrontAreNotCrowded) {
  const std::vector<double> distances =
      CrowdingDistances(std::vector<LossRow>{{0, 4}, {1, 2}, {2, 1}, {4, 0}});
  EXPECT_TRUE(std::isinf(distances[0]));
  EXPECT_TRUE(std::isinf(distances[3]));
  EXPECT_DOUBLE_EQ(distances[1], 2.0 / 4 + 3.0 / 4);
  EXPECT_DOUBLE_EQ(distances[2], 3.0 / 4 + 2.0 / 4);
}

TEST(ParetoTest, NoRowsHaveNoFrontAndNoVolume) {
  EXPECT_TRUE(ParetoFront({}).empty());
  EXPECT_EQ(Hypervolume({}, {1, 1}), 0);
}

}  // namespace
}  // namespace mase
