#include "mase/exec/classification.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(TopClassTest, IsTheFirstOfTheHighest) {
  EXPECT_EQ(TopClass({1, 3, 3}), 1);
  EXPECT_EQ(TopClass({-INFINITY, -1}), 1);
  EXPECT_EQ(TopClass({1, NAN, 3}), -1) << "a NaN compares with nothing";
}

Classification Measure(const std::vector<int64_t>& labels, const std::vector<float>& scores,
                       int64_t classes, int64_t top_k = 0) {
  ClassificationTally tally(labels, {.classes = classes, .top_k = top_k});
  tally.Add(0, scores, static_cast<int64_t>(scores.size() / labels.size()));
  return tally.Finish();
}

// Labels 0 0 0 1 1 2, predicted 0 0 1 1 0 0: class 2 is never predicted.
TEST(ClassificationTest, WorkedByHand) {
  const std::vector<float> scores = {3, 1, 0, 2, 1, 0, 1, 2, 0, 0, 4, 1, 5, 4, 0, 2, 1, 1};
  const Classification figures = Measure({0, 0, 0, 1, 1, 2}, scores, 3, 2);
  EXPECT_EQ(figures.rows, 6);
  EXPECT_EQ(figures.correct, 3);
  EXPECT_THAT(figures.confusion, ElementsAre(2, 1, 0, 1, 1, 0, 1, 0, 0));
  EXPECT_EQ(figures.classes[0].precision(), 0.5);
  EXPECT_EQ(figures.classes[0].recall(), 2.0 / 3);
  EXPECT_EQ(figures.classes[0].f1(), 4.0 / 7);
  EXPECT_EQ(figures.classes[2].precision(), 0) << "0 by 0";
  EXPECT_EQ(figures.classes[2].f1(), 0);
  EXPECT_DOUBLE_EQ(figures.macro.precision, (0.5 + 0.5 + 0) / 3);
  EXPECT_DOUBLE_EQ(figures.weighted.recall, 0.5);
  EXPECT_EQ(figures.top_k_correct, 5) << "of the last row's 1 and 1 the second class goes first";
  EXPECT_THAT(figures.right, ElementsAre(0b001011));
  EXPECT_EQ(figures.largest(), 0);
  EXPECT_EQ(figures.largest_share(), 0.5);
  EXPECT_TRUE(figures.AccuracyMisleads()) << "3 right, 3 of the largest class";
}

TEST(ClassificationTest, RowsWithoutAClassAndWithoutAnAnswer) {
  const std::vector<int64_t> labels = {0, 1, 1, 2, -1};
  ClassificationTally tally(labels, {.classes = 3});
  tally.Add(0, {5, 0, 0, /**/ 0, 5, 0}, 3);
  tally.Add(2, {5, 0, 0, /**/ NAN, 0, 0, /**/ 1, 2, 3, /**/ 1, 2, 3}, 3);
  const Classification figures = tally.Finish();
  EXPECT_EQ(figures.rows, 4);
  EXPECT_EQ(figures.correct, 2);
  EXPECT_EQ(figures.undecided, 1);
  EXPECT_EQ(figures.classes[2].rows, 1);
  EXPECT_EQ(figures.classes[2].predicted, 0) << "neither NaN nor the row of no class";
  EXPECT_EQ(figures.classes[0].predicted, 2);
  EXPECT_EQ(figures.largest(), 1);
}

TEST(ClassificationTest, WhatIsTakenForAnOutputBeyondTheClassesIsTakenForNone) {
  const Classification figures = Measure({0, 1}, {1, 0, 9, 0, 1, 0}, 2);
  EXPECT_EQ(figures.correct, 1);
  EXPECT_THAT(figures.confusion, ElementsAre(0, 0, 0, 1));
  EXPECT_TRUE(figures.AccuracyMisleads());
}

TEST(ClassificationTest, AlwaysSayingTheLargestClassMisleads) {
  const Classification figures = Measure({0, 0, 0, 1}, {1, 0, 1, 0, 1, 0, 1, 0}, 2);
  EXPECT_TRUE(figures.AccuracyMisleads());
  EXPECT_THAT(figures.roc_auc, Optional(0.5)) << "all scores are equal";
}

TEST(ClassificationTest, AClassThatIsNeverPredictedMisleadsThoughAccuracyIsHigh) {
  EXPECT_TRUE(Measure({0, 0, 1, 1, 2}, {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0}, 3)
                  .AccuracyMisleads());
}

TEST(ClassificationTest, SureOfEverythingAndRightInHalf) {
  const Classification figures =
      Measure({0, 1, 0, 1}, {INFINITY, 0, 0, INFINITY, -INFINITY, 0, 0, -INFINITY}, 2);
  EXPECT_EQ(figures.correct, 2);
  EXPECT_EQ(figures.calibration_error, 0.5);
  EXPECT_THAT(figures.roc_auc, Optional(0.5));
}

TEST(ClassificationTest, SharesNearOneAreToldApart) {
  // The softmax of both rows rounds to 1 in float32.
  EXPECT_THAT(Measure({0, 1}, {40, 0, 39, 0}, 2).roc_auc, Optional(1.0));
  EXPECT_THAT(Measure({1, 0}, {40, 0, 39, 0}, 2).roc_auc, Optional(0.0));
}

TEST(ClassificationTest, NothingAddedIsNoFigure) {
  const std::vector<int64_t> labels;
  const Classification figures = ClassificationTally(labels, {.classes = 2, .top_k = 1}).Finish();
  EXPECT_EQ(figures.rows, 0);
  EXPECT_EQ(figures.macro.f1, 0);
  EXPECT_EQ(figures.calibration_error, 0);
  EXPECT_EQ(figures.roc_auc, std::nullopt);
}

// 500 rows of whole-number arithmetic; the values are those of scikit-learn 1.7 on the softmax in
// double (confusion_matrix, precision_recall_fscore_support and top_k_accuracy_score on no ties,
// roc_auc_score) and, for the calibration error, of its definition in NumPy.
TEST(ClassificationTest, AgreesWithScikitLearn) {
  constexpr int64_t kRows = 500, kClasses = 4;
  std::vector<int64_t> labels;
  std::vector<float> scores;
  for (int64_t i = 0; i < kRows; ++i) {
    labels.push_back(i * 31 % 17 % 7 % 4);
    for (int64_t c = 0; c < kClasses; ++c) {
      const float score = static_cast<float>((i * 7919 + c * 104729 + i * c * 613) % 1009) / 128.0F;
      scores.push_back(score + (c == labels.back() && i % 3 > 0 ? 2.0F : 0.0F));
    }
  }
  const Classification figures = Measure(labels, scores, kClasses, 2);
  EXPECT_THAT(figures.confusion,
              ElementsAre(63, 29, 31, 25, 31, 49, 25, 42, 30, 31, 64, 22, 12, 8, 12, 26));
  EXPECT_EQ(figures.correct, 202);
  EXPECT_EQ(figures.top_k_correct, 299);
  EXPECT_NEAR(figures.classes[3].precision(), 0.22608696, 5e-9);
  EXPECT_NEAR(figures.classes[3].recall(), 0.44827586, 5e-9);
  EXPECT_NEAR(figures.classes[3].f1(), 0.30057803, 5e-9);
  EXPECT_NEAR(figures.macro.precision, 0.39824353857282246, 1e-15);
  EXPECT_NEAR(figures.macro.recall, 0.4106647551844596, 1e-15);
  EXPECT_NEAR(figures.macro.f1, 0.3935583724330891, 1e-15);
  EXPECT_NEAR(figures.weighted.precision, 0.429017393689005, 1e-15);
  EXPECT_NEAR(figures.weighted.recall, 0.404, 1e-15);
  EXPECT_NEAR(figures.weighted.f1, 0.4102090797515644, 1e-15);
  EXPECT_NEAR(figures.calibration_error, 0.34301930379323942, 1e-7);
  ASSERT_TRUE(figures.roc_auc.has_value());
  EXPECT_NEAR(*figures.roc_auc, 0.6693508797143688, 1e-12);

  // Batches change nothing.
  ClassificationTally tally(labels, {.classes = kClasses, .top_k = 2});
  for (int64_t row = 0; row < kRows; row += 7) {
    const int64_t rows = std::min<int64_t>(7, kRows - row);
    tally.Add(row, absl::MakeSpan(scores).subspan(row * kClasses, rows * kClasses), kClasses);
  }
  const Classification again = tally.Finish();
  EXPECT_EQ(again.calibration_error, figures.calibration_error);
  EXPECT_EQ(again.roc_auc, figures.roc_auc);
  EXPECT_EQ(again.right, figures.right);
}

}  // namespace
}  // namespace mase
