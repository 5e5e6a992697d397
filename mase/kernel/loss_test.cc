#include "mase/kernel/loss.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(CrossEntropyTest, EqualScoresOfFiveClassesCostLogFive) {
  const std::vector<double> scores(10, 0.25);
  const std::vector<int64_t> labels = {0, 3};
  std::vector<double> diff(10);
  const ClassificationLoss result = CrossEntropy(scores.data(), labels.data(), 2, 5, diff.data());
  EXPECT_NEAR(result.loss, 1.6094379, 1e-7);
  EXPECT_EQ(result.correct, 1) << "ties go to class 0";
  EXPECT_DOUBLE_EQ(diff[0], (0.2 - 1) / 2);
  EXPECT_DOUBLE_EQ(diff[1], 0.2 / 2);
}

TEST(CrossEntropyTest, TheGradientIsTheDifferenceQuotient) {
  std::vector<double> scores = {0.3, -1.2, 2, 0.5, 0.5, -3};
  const std::vector<int64_t> labels = {1, 2};
  std::vector<double> diff(6);
  CrossEntropy(scores.data(), labels.data(), 2, 3, diff.data());
  for (int i = 0; i < 6; ++i) {
    const double at = scores[i], h = 1e-6;
    scores[i] = at + h;
    const double above = CrossEntropy(scores.data(), labels.data(), 2, 3, nullptr).loss;
    scores[i] = at - h;
    const double below = CrossEntropy(scores.data(), labels.data(), 2, 3, nullptr).loss;
    scores[i] = at;
    EXPECT_NEAR(diff[i], (above - below) / (2 * h), 1e-9);
  }
}

TEST(CrossEntropyTest, FloatAndDoubleAgree) {
  std::vector<float> scores;
  std::vector<int64_t> labels;
  for (int i = 0; i < 37 * 5; ++i) scores.push_back(static_cast<float>((i * 37 % 101) - 50) / 9);
  for (int i = 0; i < 37; ++i) labels.push_back(i * 3 % 5);
  const std::vector<double> wide(scores.begin(), scores.end());
  std::vector<float> diff(scores.size());
  std::vector<double> wide_diff(scores.size());
  const ClassificationLoss a = CrossEntropy(scores.data(), labels.data(), 37, 5, diff.data());
  const ClassificationLoss b = CrossEntropy(wide.data(), labels.data(), 37, 5, wide_diff.data());
  EXPECT_NEAR(a.loss, b.loss, 1e-6 * b.loss);
  EXPECT_EQ(a.correct, b.correct);
  for (size_t i = 0; i < diff.size(); ++i) EXPECT_NEAR(diff[i], wide_diff[i], 1e-8);
}

TEST(CrossEntropyTest, LargeScoresDoNotOverflow) {
  const std::vector<double> scores = {1e6, 0, -1e6};
  const std::vector<int64_t> labels = {1};
  EXPECT_EQ(CrossEntropy(scores.data(), labels.data(), 1, 3, nullptr).loss, 1e6);
}

}  // namespace
}  // namespace mase
