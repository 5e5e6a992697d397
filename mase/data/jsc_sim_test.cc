#include "mase/data/jsc_sim.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/data/jsc.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

SplitData Simulate(int64_t rows, uint64_t seed, Split split, bool standardize = false) {
  DatasetConfig config;
  config.set_rows(rows);
  config.set_standardize(standardize);
  config.set_seed(seed);
  const auto dataset = OpenJscSim(config, {});
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  const auto data = dataset->Get(split);
  EXPECT_TRUE(data.ok()) << data.status();
  return *data;
}

uint32_t Crc(const Tensor& tensor) {
  return crc32(0, static_cast<const Bytef*>(tensor.raw_data()), tensor.size_bytes());
}

// An implementation of the header's recipe in NumPy and PyTorch, in double throughout, gave the
// same labels and features within 1e-6 of their deviations for the first 4,096 rows of seed 0;
// here are four of them.
TEST(JscSimTest, FollowsItsRecipe) {
  const SplitData train = Simulate(5120, 0, Split::kTrain);
  EXPECT_EQ(train.features.shape(), Shape({4096, 16}));
  const auto x = train.features.data<float>();
  const auto y = train.labels.data<int64_t>();
  const struct {
    int64_t row, label;
    double features[4];  // 0, 3, 7 and 14.
    double multiplicity;
  } kExpected[] = {
      {0, 3, {-3.650077, 0.008304732, 1.63649, 80.2172}, 92},
      {1, 0, {-3.201343, 4.624758e-05, 1.654695, 7.876228}, 65},
      {1024, 3, {-3.158972, 0.007545059, 0.1762615, 83.1748}, 36},
      {4095, 3, {-2.388535, 0.007789192, 0.4226723, 91.0084}, 39},
  };
  const double kDeviations[] = {0.56, 0.00927, 0.712, 54.8};
  for (const auto& want : kExpected) {
    const float* row = &x[want.row * 16];
    EXPECT_EQ(y[want.row], want.label);
    EXPECT_NEAR(row[0], want.features[0], 1e-6 * kDeviations[0]);
    EXPECT_NEAR(row[3], want.features[1], 1e-6 * kDeviations[1]);
    EXPECT_NEAR(row[7], want.features[2], 1e-6 * kDeviations[2]);
    EXPECT_NEAR(row[14], want.features[3], 1e-6 * kDeviations[3]);
    EXPECT_EQ(row[15], want.multiplicity);
  }
}

TEST(JscSimTest, BytesDependOnSeedSplitAndRowOnly) {
  EXPECT_EQ(Crc(Simulate(200'000, 0, Split::kTrain, true).features), 0x1078bb21u);
  EXPECT_EQ(Crc(Simulate(200'000, 0, Split::kTest, true).features), 0x01635befu);
  // The same rows, whatever the number of rows asked for.
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const SplitData small = Simulate(5000, 3, split);
    const SplitData large = Simulate(300'000, 3, split);
    EXPECT_TRUE(BitEqual(small.features, large.features.Rows(0, small.rows())));
    EXPECT_TRUE(BitEqual(small.labels, large.labels.Rows(0, small.rows())));
    EXPECT_FALSE(BitEqual(small.labels, Simulate(5000, 4, split).labels));
  }
}

TEST(JscSimTest, NoTestRowIsATrainingRowOfAnyNumberOfRows) {
  const SplitData train = Simulate(986'810, 0, Split::kTrain);
  const SplitData test = Simulate(1'100'000, 0, Split::kTest);
  const auto train_ids = train.row_ids.data<int64_t>(), test_ids = test.row_ids.data<int64_t>();
  const std::set<int64_t> trained_on(train_ids.begin(), train_ids.end());
  EXPECT_EQ(trained_on.size(), train_ids.size());  // And no row is there twice.
  EXPECT_TRUE(std::none_of(test_ids.begin(), test_ids.end(),
                           [&](int64_t id) { return trained_on.count(id) > 0; }));
}

TEST(JscSimTest, LooksLikeTheRealJets) {
  const SplitData train = Simulate(100'000, 1, Split::kTrain);
  const Standardizer simulated = Standardizer::Fit(train.features);
  const Standardizer real = *BundledJscStandardizer();
  for (size_t f = 0; f < JscFeatures().size(); ++f) {
    EXPECT_NEAR(simulated.mean()[f], real.mean()[f], 0.1 * real.scale()[f]) << JscFeatures()[f];
    EXPECT_NEAR(simulated.scale()[f], real.scale()[f], 0.1 * real.scale()[f]) << JscFeatures()[f];
  }
  std::vector<int64_t> count(5);
  for (const int64_t label : train.labels.data<int64_t>()) ++count[label];
  for (const int64_t c : count) EXPECT_NEAR(c, 16'000, 500);
  const auto x = train.features.data<float>();
  for (int64_t row = 0; row < 80'000; ++row) {
    ASSERT_EQ(x[row * 16 + 8], x[row * 16 + 6]);
    ASSERT_EQ(x[row * 16 + 15], std::round(x[row * 16 + 15]));
  }
}

TEST(JscSimTest, ValidationIsTheTrainingSplitAndItsOriginSaysSo) {
  DatasetConfig config;
  config.set_rows(1000);
  config.set_seed(7);
  const auto dataset = OpenJscSim(config, {});
  ASSERT_TRUE(dataset.ok());
  EXPECT_EQ(dataset->info().real, false);
  EXPECT_EQ(*dataset->Caption(Split::kTest), "200 simulated rows, test split");
  EXPECT_EQ(dataset->Get(Split::kTrain)->origin, "the first 800 simulated train jets, seed 7");
  EXPECT_EQ(dataset->Get(Split::kValidation)->origin, "the training split again, as MASE does");
  EXPECT_TRUE(
      BitEqual(dataset->Get(Split::kValidation)->features, dataset->Get(Split::kTrain)->features));
}

TEST(JscSimTest, RowsAreLimited) {
  DatasetConfig config;
  for (const int64_t rows : {int64_t{-1}, int64_t{1}, limits::kMaxDataRows + 1}) {
    config.set_rows(rows);
    const absl::Status status = OpenJscSim(config, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << rows;
    EXPECT_THAT(std::string(status.message()), HasSubstr("want 2 to 2147483648"));
  }
  for (const int64_t rows : {int64_t{2}, limits::kMaxDataRows}) {
    config.set_rows(rows);
    EXPECT_TRUE(OpenJscSim(config, {}).ok()) << rows;
  }
  EXPECT_EQ(Simulate(2, 0, Split::kTest).rows(), 1);
}

}  // namespace
}  // namespace mase
