#include "mase/data/preprocess.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Tensor Matrix(int64_t rows, int64_t columns, const std::vector<float>& values) {
  return Tensor::FromValues<float>({rows, columns}, values);
}

DataTable MakeTable(const Tensor& features, const std::vector<int64_t>& labels) {
  DataTable table;
  table.features = features;
  table.labels = Tensor::FromValues<int64_t>({features.shape()[0]}, labels);
  return table;
}

TEST(DistinctRowsTest, KeepsTheFirstOfEqualRows) {
  const Tensor features = Matrix(6, 2, {1, 2, 3, 4, 1, 2, 1, 2, 2, 1, 3, 4});
  EXPECT_THAT(DistinctRows(MakeTable(features, {0, 0, 0, 1, 0, 0})), ElementsAre(0, 1, 3, 4));
}

TEST(DistinctRowsTest, MinusZeroIsZero) {
  EXPECT_THAT(DistinctRows(MakeTable(Matrix(2, 2, {0, 1, -0.0f, 1}), {0, 0})), ElementsAre(0));
}

TEST(SplitRowsTest, EqualsScikitLearn) {
  const RowSplit ten = SplitRows(10, 0.2, 42);
  EXPECT_THAT(ten.test, ElementsAre(8, 1));
  EXPECT_THAT(ten.train, ElementsAre(5, 0, 7, 2, 9, 4, 3, 6));
  const RowSplit full = SplitRows(986'806, 0.2, 42);
  EXPECT_EQ(full.test.size(), 197'362u);
  EXPECT_EQ(full.train.size(), 789'444u);
  EXPECT_EQ(full.train[0], 940'679);
  EXPECT_THAT(SplitRows(1, 0.2, 42).train, IsEmpty());
}

TEST(TakeRowsTest, CopiesWholeRowsOfAnyRank) {
  const Tensor images = Tensor::FromValues<float>({3, 1, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor taken = TakeRows(images, {2, 0, 2});
  EXPECT_EQ(taken.shape(), Shape({3, 1, 2}));
  EXPECT_THAT(taken.data<float>(), ElementsAre(5, 6, 1, 2, 5, 6));
  EXPECT_EQ(TakeRows(images, {}).shape(), Shape({0, 1, 2}));
}

TEST(StandardizerTest, UsesThePopulationDeviation) {
  const Standardizer standardizer = Standardizer::Fit(Matrix(3, 2, {1, 7, 2, 7, 3, 7}));
  EXPECT_THAT(standardizer.mean(), ElementsAre(2, 7));
  EXPECT_THAT(standardizer.scale(), ElementsAre(std::sqrt(2.0 / 3), 1));  // Constant: 1.
  EXPECT_THAT(standardizer.Apply(Matrix(1, 2, {2, 9})).data<float>(), ElementsAre(0, 2));
}

TEST(StandardizerTest, LeavesTheCallersTensorAlone) {
  const Tensor features = Matrix(2, 1, {1, 3});
  Standardizer::Fit(features).Apply(features);
  EXPECT_THAT(features.data<float>(), ElementsAre(1, 3));
}

}  // namespace
}  // namespace mase
