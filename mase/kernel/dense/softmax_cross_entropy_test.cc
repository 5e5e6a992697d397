#include "mase/kernel/dense/softmax_cross_entropy.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"

namespace mase {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Problem {
  int64_t rows = 0;
  int64_t classes = 0;
  std::vector<float> scores;
  std::vector<int64_t> labels;
};

Problem RandomProblem(int64_t rows, int64_t classes, float spread) {
  std::mt19937 random(static_cast<unsigned>(rows * 31 + classes));
  std::normal_distribution<float> normal(0, spread);
  Problem problem = {rows, classes, {}, {}};
  for (int64_t i = 0; i < rows * classes; ++i) problem.scores.push_back(normal(random));
  for (int64_t i = 0; i < rows; ++i) {
    problem.labels.push_back(static_cast<int64_t>(random() % static_cast<unsigned>(classes)));
  }
  return problem;
}

// The formulas of the header in double.
double Reference(const Problem& p, std::vector<double>& diff, int64_t& correct) {
  double loss = 0;
  diff.assign(p.scores.size(), 0);
  correct = 0;
  for (int64_t i = 0; i < p.rows; ++i) {
    const float* z = p.scores.data() + i * p.classes;
    int64_t best = 0;
    for (int64_t k = 1; k < p.classes; ++k) best = z[k] > z[best] ? k : best;
    correct += best == p.labels[i];
    double sum = 0;
    for (int64_t k = 0; k < p.classes; ++k) sum += std::exp(double{z[k]} - double{z[best]});
    loss += std::log(sum) + double{z[best]} - double{z[p.labels[i]]};
    for (int64_t k = 0; k < p.classes; ++k) {
      diff[i * p.classes + k] =
          (std::exp(double{z[k]} - double{z[best]}) / sum - (k == p.labels[i])) / p.rows;
    }
  }
  return loss / static_cast<double>(p.rows);
}

ClassificationLoss LossOf(const Problem& p, float* diff = nullptr) {
  return SoftmaxCrossEntropy(p.scores.data(), p.labels.data(), p.rows, p.classes, diff);
}

class SoftmaxCrossEntropyTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!SetIsaForTest(GetParam())) GTEST_SKIP() << "this machine lacks " << IsaName(GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, SoftmaxCrossEntropyTest,
                         ::testing::Values(Isa::kBaseline, Isa::kAvx2, Isa::kAvx512));

TEST_P(SoftmaxCrossEntropyTest, AgreesWithDoubleOnAllShapes) {
  for (int64_t rows : {1, 2, 7, 15, 16, 17, 33, 255, 256, 257, 700}) {
    for (int64_t classes : {1, 2, 5, 10, 17, 100}) {
      for (float spread : {0.1f, 3.0f, 60.0f}) {
        SCOPED_TRACE(::testing::Message()
                     << rows << " rows, " << classes << " classes, " << spread);
        const Problem p = RandomProblem(rows, classes, spread);
        std::vector<double> want_diff;
        int64_t want_correct = 0;
        const double want = Reference(p, want_diff, want_correct);
        std::vector<float> diff(p.scores.size());
        const ClassificationLoss got = LossOf(p, diff.data());
        EXPECT_NEAR(got.loss, want, 2e-7 * (1 + want));
        EXPECT_EQ(got.correct, want_correct);
        for (size_t i = 0; i < diff.size(); ++i) {
          ASSERT_NEAR(diff[i], want_diff[i], 1e-6 / static_cast<double>(rows)) << i;
        }
        EXPECT_EQ(LossOf(p).loss, got.loss) << "without a gradient";
      }
    }
  }
}

TEST_P(SoftmaxCrossEntropyTest, MayOverwriteTheScores) {
  Problem p = RandomProblem(37, 5, 2);
  std::vector<float> diff(p.scores.size());
  LossOf(p, diff.data());
  LossOf(p, p.scores.data());
  EXPECT_EQ(p.scores, diff);
}

TEST_P(SoftmaxCrossEntropyTest, TiesGoToTheLowestIndex) {
  const Problem zeros = {3, 4, std::vector<float>(12), {0, 1, 3}};
  EXPECT_EQ(LossOf(zeros).correct, 1);
  EXPECT_NEAR(LossOf(zeros).loss, std::log(4.0), 1e-7);
  const Problem late = {1, 4, {-1, 2, 2, 2}, {1}};
  EXPECT_EQ(LossOf(late).correct, 1);
}

TEST_P(SoftmaxCrossEntropyTest, HugeScoresDoNotOverflow) {
  const Problem p = {1, 3, {1e30f, -1e30f, 0}, {1}};
  std::vector<float> diff(3);
  EXPECT_FLOAT_EQ(static_cast<float>(LossOf(p, diff.data()).loss), 2e30f);
  EXPECT_THAT(diff, ::testing::ElementsAre(1.0f, -1.0f, 0.0f));
}

TEST_P(SoftmaxCrossEntropyTest, NanAndInfinityShowInTheLoss) {
  for (int64_t bad : {0, 1, 2}) {
    Problem p = {1, 3, {1, 2, 3}, {0}};
    p.scores[bad] = kNan;
    EXPECT_TRUE(std::isnan(LossOf(p).loss)) << bad;
    p.scores[bad] = kInfinity;
    EXPECT_TRUE(std::isnan(LossOf(p).loss)) << bad;
  }
}

TEST_P(SoftmaxCrossEntropyTest, NoRowsHaveNoLoss) {
  const ClassificationLoss none = SoftmaxCrossEntropy(nullptr, nullptr, 0, 5, nullptr);
  EXPECT_EQ(none.loss, 0);
  EXPECT_EQ(none.correct, 0);
}

TEST(SoftmaxCrossEntropyIsaTest, Avx2AndAvx512GiveTheSameBits) {
  const Problem p = RandomProblem(101, 7, 4);
  std::vector<float> narrow(p.scores.size()), wide(p.scores.size());
  if (!SetIsaForTest(Isa::kAvx2)) GTEST_SKIP() << "this machine lacks AVX2";
  const double narrow_loss = LossOf(p, narrow.data()).loss;
  if (!SetIsaForTest(Isa::kAvx512)) GTEST_SKIP() << "this machine lacks AVX-512";
  EXPECT_EQ(LossOf(p, wide.data()).loss, narrow_loss);
  EXPECT_EQ(wide, narrow);
}

}  // namespace
}  // namespace mase
