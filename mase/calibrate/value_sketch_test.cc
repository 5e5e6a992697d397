#include "mase/calibrate/value_sketch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"

namespace mase {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<float> Draw(int64_t count, uint64_t seed) {
  TorchGenerator random(seed);
  std::vector<float> values(count);
  for (float& x : values) {
    const double u = random.Uniform(0, 1);
    x = static_cast<float>(std::exp(4 * u) - 10 * random.Uniform(0, 1));
  }
  return values;
}

// The largest distance of the sketch's quantiles from their ranks, as a share of all values.
double WorstRankError(const ValueSketch& sketch, std::vector<float> values) {
  std::sort(values.begin(), values.end());
  std::vector<double> shares;
  for (int i = 0; i <= 1000; ++i) shares.push_back(i / 1000.0);
  const std::vector<double> quantiles = sketch.Quantiles(shares);
  double worst = 0;
  for (int i = 0; i <= 1000; ++i) {
    const double share = shares[i];
    const float x = static_cast<float>(quantiles[i]);
    const auto low = std::lower_bound(values.begin(), values.end(), x) - values.begin();
    const auto high = std::upper_bound(values.begin(), values.end(), x) - values.begin();
    const double rank = share * static_cast<double>(values.size() - 1);
    const double off =
        std::max({static_cast<double>(low) - rank - 1, rank - static_cast<double>(high), 0.0});
    worst = std::max(worst, off / static_cast<double>(values.size()));
  }
  return worst;
}

TEST(ValueSketchTest, QuantilesInterpolateAsNumpyDoes) {
  ValueSketch sketch;
  sketch.Add({4, 5, 9});
  sketch.Add({1, 2, 3});
  EXPECT_THAT(sketch.Quantiles({0, 0.025, 0.1, 0.5, 0.9, 0.975, 1}),
              ElementsAre(1, 1.125, 1.5, 3.5, 7, 8.5, 9));
  EXPECT_THAT(sketch.values(), ElementsAre(4, 5, 9, 1, 2, 3));
  EXPECT_TRUE(sketch.exact());
}

TEST(ValueSketchTest, ExactUpToItsLimitAndSketchedOneBeyond) {
  ValueSketch sketch(/*exact_limit=*/6);
  sketch.Add({4, 5, 9, 1, 2, 3});
  EXPECT_TRUE(sketch.exact());
  sketch.Add({7});
  EXPECT_FALSE(sketch.exact());
  EXPECT_EQ(sketch.count(), 7);
  EXPECT_THAT(sketch.Quantiles({0, 0.5, 1}), ElementsAre(1, 4, 9));
}

TEST(ValueSketchTest, RanksStayWithinTheBoundWhateverTheOrder) {
  std::vector<float> values = Draw(3'000'000, 1);
  for (const bool sorted : {false, true}) {
    if (sorted) std::sort(values.begin(), values.end());
    ValueSketch sketch(/*exact_limit=*/1000);
    for (size_t begin = 0; begin < values.size(); begin += 12'345) {
      sketch.Add(absl::MakeConstSpan(values).subspan(begin, 12'345));
    }
    EXPECT_LE(WorstRankError(sketch, values), ValueSketch::kRankError);
    const std::vector<double> ends = sketch.Quantiles({0, 1});
    EXPECT_EQ(ends[0], *std::min_element(values.begin(), values.end()));
    EXPECT_EQ(ends[1], *std::max_element(values.begin(), values.end()));
  }
}

TEST(ValueSketchTest, MergedSketchesAreAsGoodAsOne) {
  ValueSketch all(1000);
  std::vector<float> values;
  for (int part = 0; part < 12; ++part) {
    const std::vector<float> more = Draw(100'000 + 7 * part, part);
    values.insert(values.end(), more.begin(), more.end());
    ValueSketch sketch(1000);
    sketch.Add(more);
    all.Merge(sketch);
  }
  EXPECT_EQ(all.count(), static_cast<int64_t>(values.size()));
  EXPECT_LE(WorstRankError(all, values), ValueSketch::kRankError);
}

TEST(ValueSketchTest, MergingExactSketchesKeepsTheOrder) {
  ValueSketch first, second;
  first.Add({3, 1});
  second.Add({2});
  first.Merge(second);
  EXPECT_THAT(first.values(), ElementsAre(3, 1, 2));
}

TEST(ValueSketchTest, BinsHaveTheirLowerEndAndTheLastOneBoth) {
  ValueSketch sketch;
  sketch.Add({0, 1, 1, 2, 3, 4});
  EXPECT_THAT(sketch.Histogram(4), ElementsAre(1, 2, 1, 2));
  ValueSketch one;
  one.Add({5, 5});
  EXPECT_THAT(one.Histogram(3), ElementsAre(2, 0, 0));
}

TEST(ValueSketchTest, SketchedBinsCountEveryValue) {
  const std::vector<float> values = Draw(500'001, 3);
  ValueSketch sketch(1000), exact;
  sketch.Add(values);
  exact.Add(values);
  const std::vector<int64_t> counts = sketch.Histogram(16), truth = exact.Histogram(16);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 500'001);
  for (int i = 0; i < 16; ++i) {
    EXPECT_THAT(static_cast<double>(counts[i]), DoubleNear(static_cast<double>(truth[i]), 1000));
  }
}

}  // namespace
}  // namespace mase
