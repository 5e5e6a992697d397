#include "mase/base/table_report.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

TableReport Parse(const std::string& text) {
  TableReport report;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &report)) << text;
  return report;
}

TEST(TableReportTest, ComesBackAsItWas) {
  Table table("costs", "Costs of each node",
              {{"node"}, {"MACs"}, {"share", "%", 1}, {"counted"}, {"error"}});
  table.AddRow({"linear", 160, 12.0, true, 0.25});
  table.AddRow({"relu", Cell(), 0.5, false, 1});
  const TableReport report = ReportOf(table);
  EXPECT_EQ(report.columns(2).unit(), "%");
  EXPECT_EQ(report.columns(2).decimals(), 1u);
  EXPECT_FALSE(report.columns(1).has_decimals());
  const auto back = TableOf(report);
  ASSERT_OK(back);
  EXPECT_EQ(back->Csv(), table.Csv());
  EXPECT_EQ(back->Text(), table.Text());
  EXPECT_EQ(back->Json(), table.Json());
}

TEST(TableReportTest, NumbersThatAreNotFiniteBecomeEmpty) {
  Table table("t", "", {{"x"}});
  table.AddRow({std::numeric_limits<double>::quiet_NaN()});
  table.AddRow({std::numeric_limits<double>::infinity()});
  EXPECT_TRUE(ReportOf(table).rows(0).values(0).has_null_value());
  EXPECT_TRUE(TableOf(ReportOf(table))->rows()[1][0].empty());
}

TEST(TableReportTest, DamagedReportsAreRefused) {
  EXPECT_THAT(TableOf(Parse(R"pb(name: "t")pb")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("table 't': has no columns")));
  EXPECT_THAT(TableOf(Parse(R"pb(name: "t"
                                 columns { name: "a" }
                                 rows {})pb")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("has 1 columns, but a row of 0")));
  EXPECT_THAT(TableOf(Parse(R"pb(columns { name: "a" }
                                 rows { values { list_value {} } })pb")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a cell of column 'a' is neither")));
  // No more digits than a double has.
  EXPECT_EQ(
      TableOf(Parse(R"pb(columns { name: "a" decimals: 4000000000 })pb"))->columns()[0].decimals,
      17);
}

}  // namespace
}  // namespace mase
