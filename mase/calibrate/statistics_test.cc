#include "mase/calibrate/statistics.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"
#include "mase/calibrate/value_sketch.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using Dims = StatisticOptions::Dims;

std::unique_ptr<StatisticCollector> Make(const std::string& name,
                                         const StatisticOptions& options = {}) {
  return ValueOrDie(StatisticCollector::Create(name, options));
}

// "min [1 2 3], range NA, count 2"
std::string Text(const StatisticCollector& collector) {
  std::vector<std::string> entries;
  const Statistic statistic = collector.Export();
  for (const StatisticValue& value : statistic.value()) {
    std::vector<std::string> numbers;
    for (const double x : value.number()) numbers.push_back(absl::StrFormat("%.7g", x));
    const bool list = numbers.size() > 1;
    entries.push_back(absl::StrCat(value.key(), " ", list ? "[" : "",
                                   numbers.empty() ? "NA" : absl::StrJoin(numbers, " "),
                                   list ? "]" : ""));
  }
  return absl::StrJoin(entries, ", ");
}

// The samples of MASE's specification: [[1, 2, 3]], then [[4, 5, 9]].
std::string OfTwoSamples(const std::string& name, const StatisticOptions& options = {}) {
  const auto collector = Make(name, options);
  EXPECT_OK(collector->Update({1, 2, 3}, {1, 3}));
  EXPECT_OK(collector->Update({4, 5, 9}, {1, 3}));
  // A batch of both is the same.
  const auto batch = Make(name, options);
  EXPECT_OK(batch->Update({1, 2, 3, 4, 5, 9}, {1, 3}));
  EXPECT_EQ(Text(*batch), Text(*collector));
  // And so are merged halves.
  const auto first = Make(name, options), second = Make(name, options);
  EXPECT_OK(first->Update({1, 2, 3}, {1, 3}));
  EXPECT_OK(second->Update({4, 5, 9}, {1, 3}));
  EXPECT_OK(first->Merge(*second));
  EXPECT_EQ(Text(*first), Text(*collector));
  return Text(*collector);
}

TEST(StatisticsTest, OfAllValues) {
  EXPECT_EQ(OfTwoSamples("record"), "data [1 2 3 4 5 9], count 2, size_in_bytes 24");
  EXPECT_EQ(OfTwoSamples("variance_precise"), "mean 4, variance 8, count 6");
  EXPECT_EQ(OfTwoSamples("range_n_sigma", {.unbiased_variance = true}),
            "min -4.485281, max 12.48528, range 16.97056, count 6");
  EXPECT_EQ(OfTwoSamples("range_min_max"), "min 1, max 9, range 8, count 6");
  EXPECT_EQ(OfTwoSamples("range_quantile"), "min 1.125, max 8.5, range 7.375, count 6");
  EXPECT_EQ(OfTwoSamples("range_quantile", {.quantile = 0.9}),
            "min 1.5, max 7, range 5.5, count 6");
  EXPECT_EQ(OfTwoSamples("abs_mean"), "abs_mean 4, count 6");
  EXPECT_EQ(OfTwoSamples("histogram", {.bins = 4}), "edges [1 3 5 7 9], counts [2 2 1 1], count 6");
}

// MASE multiplies an unbiased variance of each batch by its size (8 here), or raises a TypeError.
TEST(StatisticsTest, TheOnlineVarianceIsThePopulationsWhateverTheBatches) {
  EXPECT_EQ(OfTwoSamples("variance_online"), "mean 4, variance 6.666667, count 6");
  EXPECT_EQ(OfTwoSamples("range_n_sigma", {.num_sigma = 1}),
            "min 1.418011, max 6.581989, range 5.163978, count 6");
}

TEST(StatisticsTest, OfEachPlaceOfTheSamples) {
  const StatisticOptions each = {.dims = Dims::kElementwise};
  EXPECT_EQ(OfTwoSamples("variance_online", each),
            "mean [2.5 3.5 6], variance [2.25 2.25 9], count 2");
  EXPECT_EQ(OfTwoSamples("variance_precise", each),
            "mean [2.5 3.5 6], variance [4.5 4.5 18], count 2");
  EXPECT_EQ(OfTwoSamples("range_min_max", each),
            "min [1 2 3], max [4 5 9], range [3 3 6], count 2");
  EXPECT_EQ(OfTwoSamples("range_quantile", each),
            "min [1.075 2.075 3.15], max [3.925 4.925 8.85], range [2.85 2.85 5.7], count 2");
  EXPECT_EQ(OfTwoSamples("abs_mean", each), "abs_mean [2.5 3.5 6], count 2");
}

TEST(StatisticsTest, OverSomeAxesOfASample) {
  EXPECT_EQ(OfTwoSamples("variance_online", {.dims = Dims::kAxes, .axes = {0}}),
            "mean [2.5 3.5 6], variance [2.25 2.25 9], count 2");
  EXPECT_EQ(OfTwoSamples("variance_online", {.dims = Dims::kAxes, .axes = {0, 1}}),
            "mean 4, variance 6.666667, count 6");
  const StatisticOptions last = {.dims = Dims::kAxes, .axes = {-1}};
  const auto range = Make("range_min_max", last);
  EXPECT_OK(range->Update({1, 2, 3, 4, 5, 9}, {2, 3}));
  EXPECT_EQ(Text(*range), "min [1 4], max [3 9], range [2 5], count 3");
  EXPECT_EQ(range->shape(), Shape({2}));
  const auto channels = Make("abs_mean", {.dims = Dims::kAxes, .axes = {0, 2}});
  EXPECT_OK(channels->Update({1, -2, 3, 4, 5, -6, 7, -8}, {1, 2, 2}));
  EXPECT_EQ(Text(*channels), "abs_mean [3.5 5.5], count 4");
}

TEST(StatisticsTest, MagnitudesWhereAskedFor) {
  const auto range = Make("range_min_max", {.abs = true});
  EXPECT_OK(range->Update({-1, 2, 3, -4}, {2, 2}));
  EXPECT_EQ(Text(*range), "min 1, max 4, range 3, count 4");
  const auto mean = Make("abs_mean");
  EXPECT_OK(mean->Update({-1, 2}, {1, 2}));
  EXPECT_OK(mean->Update({3, -4}, {1, 2}));
  EXPECT_EQ(Text(*mean), "abs_mean 2.5, count 4");
}

TEST(StatisticsTest, OneValueIsTooFewForMost) {
  const struct {
    const char* name;
    const char* text;
  } kRows[] = {
      {"variance_online", "mean NA, variance NA, count 1"},
      {"variance_precise", "mean NA, variance NA, count 1"},
      {"range_n_sigma", "min NA, max NA, range NA, count 1"},
      {"range_min_max", "min 5, max 5, range NA, count 1"},
      {"range_quantile", "min NA, max NA, range NA, count 1"},
      {"abs_mean", "abs_mean NA, count 1"},
  };
  for (const auto& row : kRows) {
    const auto all = Make(row.name);
    EXPECT_OK(all->Update({5}, {1, 1}));
    EXPECT_EQ(Text(*all), row.text);
  }
  const auto each = Make("range_quantile", {.dims = Dims::kElementwise});
  EXPECT_OK(each->Update({5, 6}, {1, 2}));
  EXPECT_EQ(Text(*each), "min NA, max NA, range NA, count 1");
}

TEST(StatisticsTest, NothingWasSeen) {
  EXPECT_EQ(Text(*Make("record")), "data NA, count 0, size_in_bytes 0");
  EXPECT_EQ(Text(*Make("range_min_max")), "min NA, max NA, range NA, count 0");
  EXPECT_EQ(Text(*Make("histogram")), "edges NA, counts NA, count 0");
}

TEST(StatisticsTest, LargeMeansDoNotSwallowTheVariance) {
  const auto variance = Make("variance_online");
  for (int i = 0; i < 1000; ++i) EXPECT_OK(variance->Update({1e6f, 1e6f + 1}, {1, 2}));
  EXPECT_EQ(Text(*variance), "mean 1000000, variance 0.25, count 2000");
}

TEST(StatisticsTest, MoreValuesThanAreKeptAreSketched) {
  TorchGenerator random(0);
  std::vector<float> values(500'000);
  for (float& x : values) x = static_cast<float>(random.Uniform(0, 1));
  const auto quantile = Make("range_quantile", {.quantile = 0.9});
  const auto record = Make("record");
  for (int i = 0; i < 9; ++i) {
    EXPECT_TRUE(quantile->exact());
    EXPECT_OK(quantile->Update(values, {1, 500'000}));
    EXPECT_OK(record->Update(values, {1, 500'000}));
  }
  EXPECT_FALSE(quantile->exact());
  EXPECT_FALSE(record->exact());
  EXPECT_NEAR(quantile->Export().value(1).number(0), 0.9, 0.002);
  const Statistic data = record->Export();
  ASSERT_EQ(data.value(0).number_size(), kSketchedRecord);
  EXPECT_NEAR(data.value(0).number(1024), 1024 / 4095.0, 0.002);
  EXPECT_EQ(data.value(2).number(0), 18e6);
}

TEST(StatisticsTest, RefusesWhatItCannotDo) {
  EXPECT_THAT(StatisticCollector::Create("range_minmax", {}).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("range_min_max")));
  EXPECT_THAT(StatisticCollector::Create("range_quantile", {.quantile = 1.5}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("range_quantile: quantile 1.5, allowed 0.5 to 1")));
  EXPECT_THAT(StatisticCollector::Create("record", {.dims = Dims::kElementwise}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("it has no dims")));
  EXPECT_THAT(Make("abs_mean", {.dims = Dims::kAxes, .axes = {2}})->Update({1}, {1, 1}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("dims has axis 2, a sample is [1, 1]")));
  const auto mean = Make("abs_mean");
  EXPECT_OK(mean->Update({1, 2}, {1, 2}));
  EXPECT_THAT(mean->Update({1, std::numeric_limits<float>::quiet_NaN()}, {1, 2}),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("value 3 is nan")));
  EXPECT_THAT(mean->Update({1, 2, 3}, {1, 3}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("before they were [1, 2]")));
  EXPECT_THAT(mean->Merge(*[] {
    auto other = Make("variance_online");
    EXPECT_OK(other->Update({1, 2}, {1, 2}));
    return other;
  }()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("do not merge")));
}

TEST(StatisticsTest, ManyPlacesKeepNoMoreThanTheLimit) {
  const auto quantile = Make("range_quantile", {.dims = Dims::kElementwise});
  const std::vector<float> values(1'000'000, 1.0f);
  for (int i = 0; i < 4; ++i) EXPECT_OK(quantile->Update(values, {1, 1000}));
  EXPECT_THAT(quantile->Update(values, {1, 1000}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1000 places")));
}

}  // namespace
}  // namespace mase
