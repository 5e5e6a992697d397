#include "mase/calibrate/observer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::vector<float> Normals(int64_t count, uint64_t seed = 1) {
  TorchGenerator random(seed);
  std::vector<float> values(count);
  for (float& x : values) {
    // Twelve uniforms are near enough to a normal.
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += random.Uniform(0, 1);
    x = static_cast<float>(sum);
  }
  return values;
}

Observer Observed(const std::vector<float>& values, size_t pieces = 1, double momentum = 0.01) {
  Observer observer(static_cast<int64_t>(values.size()), momentum);
  const absl::Span<const float> all = values;
  for (size_t i = 0; i < pieces; ++i) {
    const size_t begin = values.size() * i / pieces, end = values.size() * (i + 1) / pieces;
    EXPECT_OK(observer.Observe(all.subspan(begin, end - begin)));
    observer.EndBatch();
  }
  return observer;
}

// By sorting everything, as numpy.percentile (method linear).
double SortedPercentile(std::vector<float> values, double percent) {
  std::sort(values.begin(), values.end());
  const double at = percent / 100 * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(std::floor(at));
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (double{values[above]} - values[below]) * (at - std::floor(at));
}

TEST(ObserverTest, KnowsTheRangeOfAllValues) {
  const std::vector<float> values = Normals(1000);
  const Observer observer = Observed(values, 7);
  EXPECT_EQ(observer.range().lo, *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(observer.range().hi, *std::max_element(values.begin(), values.end()));
  EXPECT_EQ(observer.count(), 1000);
  EXPECT_THAT(observer.values(), ElementsAreArray(values));
}

TEST(ObserverTest, AveragesTheRangesOfBatches) {
  for (const double momentum : {0.01, 0.3, 1.0}) {
    Observer observer(8, momentum);
    const std::vector<std::vector<float>> batches = {{-1, 2}, {-3, 0, 1}, {5}, {-4, 4}};
    double lo = -1, hi = 2;
    for (const auto& batch : batches) {
      // In two pieces, which are one batch all the same.
      ASSERT_OK(observer.Observe(absl::MakeConstSpan(batch).first(1)));
      ASSERT_OK(observer.Observe(absl::MakeConstSpan(batch).subspan(1)));
      observer.EndBatch();
      lo += momentum * (*std::min_element(batch.begin(), batch.end()) - lo);
      hi += momentum * (*std::max_element(batch.begin(), batch.end()) - hi);
    }
    EXPECT_DOUBLE_EQ(observer.moving_range().lo, lo);
    EXPECT_DOUBLE_EQ(observer.moving_range().hi, hi);
  }
}

TEST(ObserverTest, AnEmptyBatchMovesNothing) {
  Observer observer = Observed({1, 2});
  ASSERT_OK(observer.Observe({}));
  observer.EndBatch();
  EXPECT_EQ(observer.moving_range().lo, 1);
  EXPECT_EQ(observer.moving_range().hi, 2);
}

TEST(ObserverTest, PercentilesAreThoseOfTheSortedValues) {
  for (const int64_t count : {1, 2, 3, 10, 999, 20000}) {
    const std::vector<float> values = Normals(count);
    std::vector<float> magnitudes = values;
    for (float& x : magnitudes) x = std::fabs(x);
    const Observer observer = Observed(values, 3);
    for (const double percent : {0.0, 0.005, 1.0, 50.0, 99.0, 99.99, 100.0}) {
      EXPECT_DOUBLE_EQ(observer.Percentile(percent), SortedPercentile(values, percent))
          << count << " values, " << percent << " %";
      EXPECT_DOUBLE_EQ(observer.MagnitudePercentile(percent), SortedPercentile(magnitudes, percent))
          << count << " values, " << percent << " %";
    }
  }
}

TEST(ObserverTest, ZerosAloneAreNothing) {
  EXPECT_TRUE(Observer(0).empty());
  EXPECT_TRUE(Observed({0, -0.0f, 0}).empty());
  EXPECT_FALSE(Observed({0, 1e-30f}).empty());
}

TEST(ObserverTest, RefusesWhatIsNotFiniteAndSaysWhere) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    Observer observer(5);
    ASSERT_OK(observer.Observe({1, 2}));
    EXPECT_THAT(observer.Observe({3, bad}),
                StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("value 3 is ")));
  }
}

TEST(ObserverTest, ManyValuesAreSampledEvenlyHoweverTheyCome) {
  // Three interleaved channels: a stride of three would see one alone.
  const int64_t count = 3 * Observer::kMaxValues;
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(i % 3 + 1) + static_cast<float>(i) / static_cast<float>(count);
  }
  const Observer whole = Observed(values), pieces = Observed(values, 11);
  EXPECT_EQ(static_cast<int64_t>(whole.values().size()), Observer::kMaxValues);
  EXPECT_EQ(whole.values(), pieces.values());
  EXPECT_EQ(whole.range().hi, *std::max_element(values.begin(), values.end()));
  for (int channel = 1; channel <= 3; ++channel) {
    const auto kept = std::count_if(whole.values().begin(), whole.values().end(), [&](float x) {
      return x >= static_cast<float>(channel) && x < static_cast<float>(channel + 1);
    });
    EXPECT_NEAR(static_cast<double>(kept), Observer::kMaxValues / 3.0, Observer::kMaxValues * 0.01);
  }
}

}  // namespace
}  // namespace mase
