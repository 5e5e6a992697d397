#include "mase/run/measure.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// As many rows of each class as it has; of class i the first `right[i]` are right, the others taken
// for the next class.
Measurement Made(const std::vector<int>& rows, const std::vector<int>& right, int64_t top_k = 0) {
  const int64_t classes = static_cast<int64_t>(rows.size());
  std::vector<int64_t> labels;
  std::vector<float> scores;
  for (int64_t c = 0; c < classes; ++c) {
    for (int i = 0; i < rows[c]; ++i) {
      labels.push_back(c);
      const int64_t said = i < right[c] ? c : (c + 1) % classes;
      for (int64_t k = 0; k < classes; ++k) scores.push_back(k == said ? 2.0F : 0.0F);
    }
  }
  ClassificationTally tally(labels, {.classes = classes, .top_k = top_k});
  tally.Add(0, scores, classes);
  Measurement measurement;
  measurement.classification = tally.Finish();
  measurement.evaluation.samples = static_cast<int64_t>(labels.size());
  measurement.evaluation.correct = measurement.classification.correct;
  measurement.evaluation.accuracy = static_cast<float>(measurement.evaluation.correct) /
                                    static_cast<float>(measurement.evaluation.samples);
  measurement.rows_checksum = 17;
  return measurement;
}

void ExpectFits80Columns(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n'))
    EXPECT_LE(line.size(), 80) << text;
}

TEST(ClassificationTextTest, FewClassesHaveOneTableWithTheConfusionMatrix) {
  const std::string text =
      ClassificationText(Made({10, 10, 20}, {9, 5, 18}, 2).classification, {"g", "q", "t"});
  EXPECT_THAT(text, AllOf(HasSubstr("accuracy 0.800, 95 % interval 0.652 to 0.895 (Wilson)\n"),
                          HasSubstr("largest class 't': 0.500 of the rows\n"),
                          ContainsRegex("class +precision +recall +F1 +rows +as g +as q +as t\n"),
                          ContainsRegex("\nq +0\\.833 +0\\.500 +0\\.625 +10 +0 +5 +5\n"),
                          HasSubstr("mean (macro)"), HasSubstr("top-2 accuracy"),
                          HasSubstr("calibration error"), HasSubstr("ROC AUC")));
  EXPECT_THAT(text, Not(HasSubstr("misleads")));
  ExpectFits80Columns(text);
}

TEST(ClassificationTextTest, LongNamesHaveATableOfTheirOwn) {
  const std::vector<std::string> names = {"a class with a long name", "another one of that kind",
                                          "and the third one of them"};
  const std::string text = ClassificationText(Made({10, 10, 20}, {9, 5, 18}).classification, names);
  EXPECT_THAT(text, AllOf(HasSubstr("Rows of each class by what they were taken for"),
                          HasSubstr("a class with ...")));
  ExpectFits80Columns(text);
}

TEST(ClassificationTextTest, OfManyClassesTheWorstAndTheBest) {
  std::vector<int> rows(26, 20), right(26, 19);
  right[3] = 2;
  std::vector<std::string> names;
  for (char c = 'a'; c <= 'z'; ++c) names.emplace_back(1, c);
  const std::string text = ClassificationText(Made(rows, right, 5).classification, names);
  EXPECT_THAT(text,
              AllOf(HasSubstr("the 5 worst and the 5 best of 26 classes by F1"),
                    HasSubstr("most often mistaken: 'd' for 'e' 18"), HasSubstr("top-5 accuracy")));
  EXPECT_THAT(text, Not(HasSubstr("as a")));
  EXPECT_LT(absl::c_count(text, '\n'), 25);
  ExpectFits80Columns(text);
}

TEST(ClassificationTextTest, SaysWhereAccuracyMisleads) {
  EXPECT_THAT(ClassificationText(Made({95, 5}, {95, 0}).classification, {"g", "q"}),
              HasSubstr("largest class 'g': 0.950 of the rows; the accuracy misleads"));
}

TEST(ReportMeasurementTest, WritesMetricsClassesAndWhichRowsAreRight) {
  RunReport report;
  ReportMeasurement(Made({4, 4}, {4, 1}), "test", Split::kTest, {"g"}, report);
  const MetricReport& accuracy = report.metrics(0);
  EXPECT_EQ(accuracy.name(), "accuracy");
  EXPECT_EQ(accuracy.split(), "test");
  EXPECT_EQ(accuracy.correct(), 5u);
  EXPECT_EQ(accuracy.right(), std::string(1, '\x1f'));
  EXPECT_NEAR(accuracy.low(), 0.3057, 1e-4);
  ASSERT_EQ(report.classes_size(), 2);
  EXPECT_EQ(report.classes(1).name(), "1") << "of no name";
  EXPECT_THAT(report.classes(1).taken_for(), ElementsAre(3, 1));
  EXPECT_EQ(report.classes(1).recall(), 0.25);
}

TEST(ReportComparisonTest, StagesAreComparedRowByRow) {
  RunReport report;
  ReportMeasurement(Made({100, 100}, {90, 90}), "original", Split::kTest, {}, report);
  ReportMeasurement(Made({100, 100}, {88, 90}), "transformed", Split::kTest, {}, report);
  const ComparisonReport* close = ReportComparison("original", "transformed", report);
  ASSERT_NE(close, nullptr);
  EXPECT_EQ(close->only_first(), 2u);
  EXPECT_EQ(close->only_second(), 0u);
  EXPECT_FALSE(close->decided());
  EXPECT_THAT(ComparisonText(*close),
              AllOf(HasSubstr("The accuracy falls by 1.0 points on the same 200 rows"),
                    HasSubstr("do not tell the two apart")));
  ExpectFits80Columns(ComparisonText(*close));

  ReportMeasurement(Made({100, 100}, {60, 90}), "transformed", Split::kTest, {}, report);
  EXPECT_TRUE(ReportComparison("original", "transformed", report)->decided());
  EXPECT_EQ(ReportComparison("original", "best", report), nullptr);

  Measurement other = Made({100, 100}, {90, 90});
  other.rows_checksum = 18;
  ReportMeasurement(other, "best", Split::kTest, {}, report);
  EXPECT_EQ(ReportComparison("original", "best", report), nullptr) << "not the same rows";
}

}  // namespace
}  // namespace mase
