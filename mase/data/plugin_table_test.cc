// Files that only a plugin's reader knows, as data sets.
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/data/data_reader.h"
#include "mase/data/open_dataset.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What the reader gives next.
ReadRows& Rows() {
  static auto* const rows = new ReadRows;
  return *rows;
}

ReadRows GoodRows() {
  ReadRows rows;
  rows.features = Tensor::Zeros(DType::kFloat32, {10, 2});
  rows.labels = Tensor::Zeros(DType::kInt64, {10});
  for (int i = 0; i < 10; ++i) {
    rows.features.mutable_data<float>()[2 * i] = static_cast<float>(i);
    rows.features.mutable_data<float>()[2 * i + 1] = static_cast<float>(-i);
    rows.labels.mutable_data<int64_t>()[i] = i % 2;
  }
  rows.class_names = {"even", "odd"};
  rows.feature_names = {"up", "down"};
  return rows;
}

// A file of the form, opened with the settings.
absl::StatusOr<Dataset> Open(DatasetConfig config = {}) {
  static const absl::Status registered =
      RegisterDataReader({.name = "test_rows",
                          .summary = "Rows of this test.",
                          .recognizes = [](absl::string_view head) { return head == "TESTROWS"; },
                          .read = [](const std::string&) { return Rows(); }});
  EXPECT_OK(registered);
  const std::string path = ::testing::TempDir() + "/x.rows";
  std::ofstream(path) << "TESTROWS";
  config.set_path(path);
  return OpenDataset(config);
}

TEST(PluginTableTest, IsADataSetLikeACsvFile) {
  Rows() = GoodRows();
  const absl::StatusOr<Dataset> dataset = Open();
  ASSERT_OK(dataset.status());
  EXPECT_THAT(dataset->info().class_names, ElementsAre("even", "odd"));
  EXPECT_THAT(dataset->info().feature_names, ElementsAre("up", "down"));
  EXPECT_EQ(dataset->Get(Split::kTrain)->rows(), 8);
  EXPECT_EQ(dataset->Get(Split::kTest)->rows(), 2);
}

TEST(PluginTableTest, ColumnsAreChosenByName) {
  Rows() = GoodRows();
  DatasetConfig config;
  config.add_features("down");
  const absl::StatusOr<Dataset> dataset = Open(config);
  ASSERT_OK(dataset.status());
  const SplitData train = *dataset->Get(Split::kTrain);
  EXPECT_EQ(train.features.shape(), Shape({8, 1}));
  for (const float value : train.features.data<float>()) EXPECT_LE(value, 0);
  config.set_features(0, "sideways");
  EXPECT_THAT(Open(config).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sideways")));
}

TEST(PluginTableTest, WhatAReaderGivesIsChecked) {
  Rows() = GoodRows();
  Rows().labels.mutable_data<int64_t>()[3] = 2;
  EXPECT_THAT(
      Open().status(),
      StatusIs(absl::StatusCode::kInternal,
               HasSubstr("x.rows: its reader test_rows gave row 3 label 2, but 2 classes")));
  Rows() = GoodRows();
  Rows().features.mutable_data<float>()[5] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(Open().status(), StatusIs(absl::StatusCode::kInternal, HasSubstr("gave row 2 a")));
  Rows() = ReadRows();
  EXPECT_THAT(Open().status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("want float32 [rows, columns]")));
}

}  // namespace
}  // namespace mase
