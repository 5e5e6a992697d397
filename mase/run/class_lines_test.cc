#include "mase/run/class_lines.h"

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ClassLinesTest, AFairFigureHasOneLine) {
  const std::vector<int64_t> labels = {0, 1, 1};
  ClassCounts counts(labels, 2);
  counts.Add(0, {1, 0, 0, 1, 0, 1}, 2);
  EXPECT_EQ(ClassLines(counts, {"a", "b"}), "largest class 'b': 0.667 of the rows\n");
}

TEST(ClassLinesTest, AMisleadingOneIsTakenApart) {
  std::vector<int64_t> labels(20, 0);
  labels[19] = 1;
  ClassCounts counts(labels, 2);
  for (int64_t i = 0; i < 20; ++i) counts.Add(i, {1, 0}, 2);
  EXPECT_EQ(ClassLines(counts, {"healthy", "ill"}),
            "largest class 'healthy': 0.950 of the rows\n"
            "right by class: 'healthy' 19 of 19, 'ill' 0 of 1\n");
  RunReport report;
  ReportClasses(counts, {"healthy", "ill"}, report);
  ASSERT_THAT(report.classes(), SizeIs(2));
  EXPECT_EQ(report.classes(1).name(), "ill");
  EXPECT_EQ(report.classes(1).rows(), 1u);
  EXPECT_EQ(report.classes(0).predicted(), 20u);
}

TEST(ClassLinesTest, ManyClassesFitOneLine) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 100; ++i) labels.push_back(i);
  const ClassCounts counts(labels, 100);
  const std::vector<std::string> names(100, "a class with a name much too long for a line");
  const std::vector<std::string> lines = absl::StrSplit(ClassLines(counts, names), '\n');
  ASSERT_THAT(lines, SizeIs(3));
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(lines[1], HasSubstr("more in summary.json"));
}

}  // namespace
}  // namespace mase
