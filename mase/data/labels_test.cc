#include "mase/data/labels.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

// A table of the labels alone.
DataTable TableOf(const std::vector<std::string>& labels) {
  DataTable table;
  table.label_name = std::string("y");
  table.features = Tensor::Zeros(DType::kFloat32, {static_cast<int64_t>(labels.size()), 1});
  EXPECT_TRUE(SetTextLabels(labels, "f", table).ok());
  return table;
}

std::string NoteOf(const std::vector<std::string>& texts) {
  return ClassesNote(texts, OrderClasses(texts));
}

TEST(OrderClassesTest, WholeNumbersFromZeroOnAreIndexes) {
  EXPECT_THAT(OrderClasses({"3", "0"}), ElementsAre("0", "1", "2", "3"));
  EXPECT_EQ(NoteOf({"3", "0"}), "classes 0 to 3, no rows of 1, 2");
  EXPECT_THAT(OrderClasses({"1.0", "0.0", "2e0", "+2", "02", "-0"}), ElementsAre("0", "1", "2"));
  EXPECT_EQ(NoteOf({"1.0", "0.0", "2"}), "");
  const std::string most = absl::StrCat(limits::kMaxClasses - 1);
  EXPECT_EQ(OrderClasses({"0", most}).size(), static_cast<size_t>(limits::kMaxClasses));
  EXPECT_EQ(OrderClasses({"0", absl::StrCat(limits::kMaxClasses)}).size(), 2u);
}

TEST(OrderClassesTest, OtherNumbersAreNamesInAscendingOrder) {
  EXPECT_THAT(OrderClasses({"10", "9", "2.0"}), ElementsAre("2", "9", "10"));
  EXPECT_THAT(OrderClasses({"3", "1", "2"}), ElementsAre("1", "2", "3"));
  EXPECT_THAT(OrderClasses({"1", "-1.0"}), ElementsAre("-1", "1"));
  EXPECT_THAT(OrderClasses({"1.5", "0.5", "1e3"}), ElementsAre("0.5", "1.5", "1000"));
  EXPECT_EQ(NoteOf({"3", "1", "2"}), "classes 1, 2, 3");
  EXPECT_EQ(NoteOf({"1", "-1"}), "classes -1, 1");
}

TEST(OrderClassesTest, TextsSortByBytes) {
  EXPECT_THAT(OrderClasses({"pear", "apple", "pear"}), ElementsAre("apple", "pear"));
  EXPECT_EQ(NoteOf({"pear", "apple"}), "");
  EXPECT_THAT(OrderClasses({"pear", "10", "2"}), ElementsAre("10", "2", "pear"));
  EXPECT_EQ(NoteOf({"pear", "10", "2"}), "classes 10, 2, pear: numbers among texts are texts");
  EXPECT_THAT(OrderClasses({}), ElementsAre());
}

TEST(LabelsAsClassesTest, NumbersMatchByValueTextsByBytes) {
  EXPECT_THAT(LabelsAsClasses(TableOf({"2.0", "0", "10"}), {"0", "2", "10"})->data<int64_t>(),
              ElementsAre(1, 0, 2));
  EXPECT_THAT(LabelsAsClasses(TableOf({"x", "1.0", "1"}), {"1", "1.0", "x"})->data<int64_t>(),
              ElementsAre(2, 1, 0));
  EXPECT_EQ(LabelsAsClasses(TableOf({"x", "yy"}), {"x", "y"}).status().message(),
            "f: row 1: class 'yy' is not one of the 2 known: x, y; did you mean 'y'?");
}

TEST(SetLabelsTest, NumbersBecomeTheirShortestTexts) {
  DataTable table;
  ASSERT_TRUE(SetNumberLabels({3, 1, 3, -0.0, 0.5, 1e6}, "f", table).ok());
  EXPECT_THAT(table.class_texts, ElementsAre("3", "1", "0", "0.5", "1000000"));
  EXPECT_THAT(table.labels.data<int64_t>(), ElementsAre(0, 1, 0, 2, 3, 4));
  table.label_name = std::string("y");
  EXPECT_EQ(SetNumberLabels({3, NAN}, "f", table).message(),
            "f: row 1: label nan of 'y' is no class");
}

TEST(SetLabelsTest, OneHotRowsHaveOneOne) {
  DataTable table;
  const std::vector<std::string> names = {"a", "b", "c"};
  ASSERT_TRUE(
      SetOneHotLabels(Tensor::FromValues<float>({2, 3}, {0, 0, 1, 1, 0, 0}), names, "f", table)
          .ok());
  EXPECT_THAT(table.labels.data<int64_t>(), ElementsAre(2, 0));
  EXPECT_THAT(table.class_texts, ElementsAre("a", "b", "c"));
  EXPECT_FALSE(
      SetOneHotLabels(Tensor::FromValues<float>({1, 3}, {0, 1, 1}), names, "f", table).ok());
}

TEST(SetLabelsTest, AnEmptyTextIsNoClass) {
  DataTable table;
  table.label_name = std::string("y");
  const std::vector<std::string> texts = {"a", ""};
  EXPECT_EQ(SetTextLabels(texts, "f", table).message(), "f: row 1: no class in 'y'");
}

TEST(CheckLabelsTest, ClassesAreLimited) {
  DataTable table;
  table.class_texts.assign(limits::kMaxClasses, "x");
  EXPECT_TRUE(CheckLabels(table, LabelChoice::kNamedByUser, "f").ok());
  table.class_texts.emplace_back("x");
  EXPECT_EQ(CheckLabels(table, LabelChoice::kNamedByUser, "f").code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mase
