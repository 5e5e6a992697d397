#include "mase/data/dataset.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/data/row_sketch.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Dataset TwoClasses() {
  DatasetInfo info;
  info.name = "made_up";
  info.kind = "simulated rows";
  info.class_names = {"a", "b"};
  info.sample_shape = Shape({2});
  return Dataset(info);
}

SplitData Samples(int64_t rows, int64_t label) {
  SplitData data;
  data.features = Tensor::Zeros(DType::kFloat32, {rows, 2});
  data.labels = Tensor::Zeros(DType::kInt64, {rows});
  for (int64_t& l : data.labels.mutable_data<int64_t>()) l = label;
  return data;
}

TEST(DatasetTest, LoadsASplitOnceAndOnlyWhenAskedFor) {
  Dataset dataset = TwoClasses();
  int loads = 0;
  dataset.Set(Split::kTest, [&loads] {
    ++loads;
    return Samples(1500, 1);
  });
  const Dataset copy = dataset;
  EXPECT_EQ(loads, 0);
  EXPECT_EQ(copy.Get(Split::kTest)->rows(), 1500);
  EXPECT_EQ(*dataset.Caption(Split::kTest), "1,500 simulated rows, test split");
  EXPECT_EQ(loads, 1);
}

TEST(DatasetTest, AnAbsentSplitIsAnErrorThatListsThePresentOnes) {
  Dataset dataset = TwoClasses();
  dataset.Set(Split::kPred, [] { return Samples(1, 0); });
  dataset.Set(Split::kTrain, [] { return Samples(1, 0); });
  EXPECT_THAT(dataset.splits(), ElementsAre(Split::kTrain, Split::kPred));
  EXPECT_EQ(dataset.Get(Split::kTest).status(),
            absl::NotFoundError("data set made_up has no test split; it has: train, pred"));
}

TEST(DatasetTest, WhatIsHandedOutIsNeverEmptyAndItsLabelsAreClasses) {
  Dataset dataset = TwoClasses();
  dataset.Set(Split::kTrain, [] { return Samples(0, 0); });
  dataset.Set(Split::kValidation, [] { return Samples(3, 2); });
  dataset.Set(Split::kTest, [] { return Samples(3, -1); });
  const auto message = [&](Split split) {
    return std::string(dataset.Get(split).status().message());
  };
  EXPECT_EQ(message(Split::kTrain), "data set made_up, train split: the split is empty");
  EXPECT_THAT(message(Split::kValidation), HasSubstr("row 0: class 2 of a set with 2 classes"));
  EXPECT_THAT(message(Split::kTest), HasSubstr("row 0: class -1"));
}

TEST(DatasetTest, AnErrorOfLoadingStays) {
  Dataset dataset = TwoClasses();
  dataset.Set(Split::kTest,
              []() -> absl::StatusOr<SplitData> { return absl::DataLossError("torn"); });
  EXPECT_EQ(dataset.Get(Split::kTest).status(), absl::DataLossError("torn"));
  EXPECT_EQ(dataset.Get(Split::kTest).status(), absl::DataLossError("torn"));
}

TEST(DatasetTest, OnlyRowsToPredictMayLackLabels) {
  Dataset dataset = TwoClasses();
  for (const Split split : {Split::kTest, Split::kPred}) {
    dataset.Set(split, [] {
      SplitData data = Samples(3, 0);
      data.labels = Tensor(DType::kInt64, {0});
      return data;
    });
  }
  EXPECT_EQ(dataset.Get(Split::kPred)->rows(), 3);
  EXPECT_THAT(std::string(dataset.Get(Split::kTest).status().message()),
              HasSubstr("3 rows, labels [0]"));
}

TEST(DatasetTest, RowsHaveIds) {
  Dataset dataset = TwoClasses();
  dataset.Set(Split::kTrain, [] { return Samples(2, 1); });
  dataset.Set(Split::kTest, [] {
    SplitData data = Samples(2, 1);
    data.row_ids = Tensor::FromValues<int64_t>({2}, {5, 6});
    return data;
  });
  const SplitData train = *dataset.Get(Split::kTrain);
  EXPECT_TRUE(BitEqual(train.row_ids, RowIds(train.features, train.labels)));
  EXPECT_THAT(dataset.Get(Split::kTest)->row_ids.data<int64_t>(), ElementsAre(5, 6));
}

TEST(ClassBalanceTest, NamesFewClassesAndSumsUpMany) {
  SplitData data = Samples(1200, 1);
  data.labels.mutable_data<int64_t>()[7] = 0;
  EXPECT_EQ(ClassBalance(data, {"a", "b", "c"}), "a 1, b 1,199, c 0");
  std::vector<std::string> names;
  for (int i = 0; i < 26; ++i) names.push_back(absl::StrCat("letter ", i));
  EXPECT_EQ(ClassBalance(data, names), "26 classes of 0 ('letter 2') to 1,199 ('letter 1') rows");
}

TEST(WithCommasTest, GroupsByThousands) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1000), "1,000");
  EXPECT_EQ(WithCommas(986806), "986,806");
  EXPECT_EQ(WithCommas(-100000), "-100,000");
}

}  // namespace
}  // namespace mase
