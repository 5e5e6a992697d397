#include "mase/exec/class_counts.h"

#include <cmath>

#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(TopClassTest, IsTheFirstOfTheHighest) {
  EXPECT_EQ(TopClass({1, 3, 3}), 1);
  EXPECT_EQ(TopClass({-INFINITY, -1}), 1);
  EXPECT_EQ(TopClass({1, NAN, 3}), -1) << "a NaN compares with nothing";
}

TEST(ClassCountsTest, CountsRowsPredictionsAndBoth) {
  const std::vector<int64_t> labels = {0, 1, 1, 2, -1};
  ClassCounts counts(labels, 3);
  EXPECT_EQ(counts.largest(), 1);
  EXPECT_EQ(counts.largest_share(), 0.5) << "the last row has no class";
  counts.Add(0, {5, 0, 0, /**/ 0, 5, 0}, 3);
  counts.Add(2, {5, 0, 0, /**/ 0, 0, 5, /**/ NAN, 0, 0}, 3);
  EXPECT_EQ(counts.classes()[0].predicted, 2);
  EXPECT_EQ(counts.classes()[0].correct, 1);
  EXPECT_EQ(counts.classes()[1].rows, 2);
  EXPECT_EQ(counts.classes()[1].correct, 1);
  EXPECT_EQ(counts.classes()[2].correct, 1);
  EXPECT_EQ(counts.undecided(), 1);
  EXPECT_FALSE(counts.AccuracyMisleads()) << "3 right, 2 of the largest class";
}

TEST(ClassCountsTest, AlwaysSayingTheLargestClassMisleads) {
  const std::vector<int64_t> labels = {0, 0, 0, 1};
  ClassCounts counts(labels, 2);
  counts.Add(0, {1, 0, 1, 0, 1, 0, 1, 0}, 2);
  EXPECT_TRUE(counts.AccuracyMisleads());
}

TEST(ClassCountsTest, AClassThatIsNeverPredictedMisleadsThoughAccuracyIsHigh) {
  const std::vector<int64_t> labels = {0, 0, 1, 1, 2};
  ClassCounts counts(labels, 3);
  counts.Add(0, {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0}, 3);
  EXPECT_TRUE(counts.AccuracyMisleads());
}

}  // namespace
}  // namespace mase
