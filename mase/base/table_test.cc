#include "mase/base/table.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/table_text.h"

namespace mase {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// MASE's histogram of jsc-tiny with its linear layer quantized.
Table Histogram() {
  Table table({{"Original type"}, {"OP"}, {"Total"}, {"Changed"}, {"Unchanged"}});
  table.AddRow({"BatchNorm1d", "batch_norm1d", "1", "0", "1"});
  table.AddRow({"Linear", "linear", "1", "1", "0"});
  table.AddRow({"ReLU", "relu", "2", "0", "2"});
  return table;
}

TEST(TableTest, OrgLookIsThatOfMasesHistogram) {
  EXPECT_EQ(Histogram().Org(),
            "| Original type   | OP           |   Total |   Changed |   Unchanged |\n"
            "|-----------------+--------------+---------+-----------+-------------|\n"
            "| BatchNorm1d     | batch_norm1d |       1 |         0 |           1 |\n"
            "| Linear          | linear       |       1 |         1 |           0 |\n"
            "| ReLU            | relu         |       2 |         0 |           2 |\n");
}

TEST(TableTest, SimpleLookRulesTheHeaderAlone) {
  EXPECT_EQ(Histogram().Simple(),
            "Original type    OP              Total    Changed    Unchanged\n"
            "---------------  ------------  -------  ---------  -----------\n"
            "BatchNorm1d      batch_norm1d        1          0            1\n"
            "Linear           linear              1          1            0\n"
            "ReLU             relu                2          0            2\n");
}

TEST(TableTest, BoxedLookWithCenteredColumns) {
  Table table({{"Name"},
               {.name = "Default", .align = Align::kCenter},
               {.name = "Effective", .align = Align::kCenter}});
  table.AddRow({"batch_size", "128", "256"});
  EXPECT_EQ(table.Boxed(),
            "+------------+---------+-----------+\n"
            "| Name       | Default | Effective |\n"
            "+------------+---------+-----------+\n"
            "| batch_size |   128   |    256    |\n"
            "+------------+---------+-----------+\n");
}

TEST(TableTest, GridLookRulesEveryRowAndKeepsLineBreaks) {
  Table table({{"Node name"}, {"Param"}});
  table.AddRow({"x", "{'a': 1,\n 'b': 2}"});
  table.AddRow({"y", ""});
  EXPECT_EQ(table.Grid(),
            "+-------------+----------+\n"
            "| Node name   | Param    |\n"
            "+=============+==========+\n"
            "| x           | {'a': 1, |\n"
            "|             |  'b': 2} |\n"
            "+-------------+----------+\n"
            "| y           |          |\n"
            "+-------------+----------+\n");
}

TEST(TableTest, PlainLookHasNoLinesAndNoTrailingSpace) {
  Table table({{"Name"}, {"Total"}});
  table.AddRow({"x", "1"});
  table.AddRow({"long name", ""});
  EXPECT_EQ(table.Plain(),
            "Name       Total\n"
            "x              1\n"
            "long name\n");
}

TEST(TableTest, WithoutRowsOnlyTheHeaderShows) {
  const Table table({{"a"}, {"b"}});
  EXPECT_EQ(table.Boxed(), "+---+---+\n| a | b |\n+---+---+\n+---+---+\n");
  EXPECT_EQ(table.Grid(), "+-----+-----+\n| a   | b   |\n+=====+=====+\n");
  EXPECT_EQ(table.Org(), "| a   | b   |\n|-----+-----|\n");
  EXPECT_EQ(table.Csv(), "a,b\n");
}

TEST(TableTest, WidthsCountCharactersNotBytes) {
  Table table({{"µ"}, {"b"}});
  table.AddRow({"ééé", "x"});
  EXPECT_EQ(table.Org(), "| µ   | b   |\n|-----+-----|\n| ééé | x   |\n");
  EXPECT_EQ(table.Text(), "µ    b\n---  -\nééé  x\n");
}

Table Costs() {
  Table table("costs", "Costs of each node",
              {{"node"}, {"MACs"}, {"share", "%", 1}, {.name = "change", .signs = true}, {"ours"}});
  table.AddRow({"linear", 123456, 12.25, 0.5, true});
  table.AddRow({"relu", int64_t{0}, Cell(), -2, false});
  return table;
}

TEST(TableTest, TypedCellsReadAsEachReaderNeedsThem) {
  EXPECT_EQ(Costs().Text(),
            "Costs of each node\n"
            "node       MACs  share (%)  change  ours\n"
            "------  -------  ---------  ------  ----\n"
            "linear  123,456       12.2    +0.5  yes\n"
            "relu          0                 -2  no\n");
  EXPECT_EQ(Costs().Csv(),
            "node,MACs,share,change,ours\n"
            "linear,123456,12.25,0.5,true\n"
            "relu,0,,-2,false\n");
  EXPECT_EQ(Costs().Markdown(),
            "| node | MACs | share (%) | change | ours |\n"
            "| --- | ---: | ---: | ---: | --- |\n"
            "| linear | 123,456 | 12.2 | +0.5 | yes |\n"
            "| relu | 0 |  | -2 | no |\n");
  EXPECT_THAT(Costs().Json(), StartsWith(R"({
 "name": "costs",
 "title": "Costs of each node",
 "columns": [
  {
   "name": "node",
   "unit": "",
   "decimals": null
  },
)"));
  EXPECT_THAT(Costs().Json(), EndsWith(R"(
  [
   "relu",
   0,
   null,
   -2,
   false
  ]
 ]
}
)"));
}

TEST(TableTest, RealNumbersHaveFourDigitsForPeopleAndAllForPrograms) {
  Table table({{"x"}});
  const double third = 1.0 / 3;
  for (const double x : {third, 1e-9 * third, 12345.6, 1e12, 0.0, -third}) table.AddRow({x});
  table.AddRow({std::numeric_limits<double>::quiet_NaN()});
  table.AddRow({-std::numeric_limits<double>::infinity()});
  EXPECT_EQ(table.Text(),
            "        x\n---------\n   0.3333\n3.333e-10\n   12,346\n    1e+12\n        0\n"
            "  -0.3333\n      nan\n     -inf\n");
  EXPECT_EQ(table.Csv(),
            "x\n0.3333333333333333\n3.333333333333333e-10\n12345.6\n1e+12\n0\n"
            "-0.3333333333333333\nnan\n-inf\n");
  EXPECT_THAT(table.Json(), EndsWith("  [\n   null\n  ],\n  [\n   null\n  ]\n ]\n}\n"));
}

TEST(TableTest, MarkdownKeepsCellsInTheirCells) {
  Table table({{"a|b"}});
  table.AddRow({"x|y\nz"});
  EXPECT_EQ(table.Markdown(), "| a\\|b |\n| --- |\n| x\\|y<br>z |\n");
}

TEST(TableTest, WideCellsGoOnInTheNextLine) {
  Table table({{"node"}, {"why"}, {"MACs"}});
  table.AddRow({"encoder.layers.0.attention.self_q", "MASE's pass of 2024 does not take it", 7});
  EXPECT_EQ(table.Text({.columns = 44}),
            "node                  why               MACs\n"
            "--------------------  ----------------  ----\n"
            "encoder.layers.0.     MASE's pass of       7\n"
            "attention.self_q      2024 does not\n"
            "                      take it\n");
}

TEST(TableTest, AUnitWithASlashStaysInOneLine) {
  Table table("", "", {{"kernel"}, {"rows/s"}, {"time of all calls", "us"}});
  table.AddRow({"integer_linear + relu + encode", 5, 17});
  const std::vector<std::string> lines = absl::StrSplit(table.Text({.columns = 40}), '\n');
  EXPECT_THAT(lines[0], HasSubstr("rows/s"));
}

TEST(TableTest, AParagraphIsBrokenAtBlanks) {
  EXPECT_EQ(table_text::Paragraph("1 row: float is the fastest.", 12),
            "1 row: float\nis the\nfastest.\n");
  EXPECT_EQ(table_text::Paragraph("No break."), "No break.\n");
}

TEST(TableTest, ColumnsWithoutRoomAreLeftOutByRank) {
  Table table({{"node"},
               {.name = "minimum", .rank = 1},
               {.name = "maximum", .rank = 1},
               {"codes"},
               {"values"}});
  table.AddRow({"linear", 1234567, 1234567, 1234567, 1234567});
  EXPECT_EQ(table.Text({.columns = 40, .whole = "calibrate/operands.csv"}),
            "node      minimum      codes     values\n"
            "------  ---------  ---------  ---------\n"
            "linear  1,234,567  1,234,567  1,234,567\n"
            "Not shown: for want of room maximum. The\n"
            "whole table is calibrate/operands.csv.\n");
  EXPECT_EQ(table.Text({.columns = 20}),
            "node        codes\n"
            "------  ---------\n"
            "linear  1,234,567\n"
            "Not shown: for want\n"
            "of room minimum,\n"
            "maximum, values. The\n"
            "whole table needs a\n"
            "wider terminal.\n");
}

TEST(TableTest, NamesAreBrokenOnlyWhenNoColumnMattersLess) {
  Table table({{"node"}, {"codes"}, {.name = "minimum", .rank = 1}});
  table.AddRow({"encoder.layers.0.attention", 1234567, 1234567});
  EXPECT_EQ(table.Text({.columns = 40, .whole = "a/long/path/of-a-file.csv"}),
            "node                            codes\n"
            "--------------------------  ---------\n"
            "encoder.layers.0.attention  1,234,567\n"
            "Not shown: for want of room minimum. The\n"
            "whole table is\n"
            "a/long/path/of-a-file.csv.\n");
}

TEST(TableTest, RowsBeyondTheRoomAreCounted) {
  Table table({{"x"}});
  for (int i = 0; i < 5; ++i) table.AddRow({i});
  EXPECT_EQ(table.Text({.rows = 2, .whole = "x.csv"}),
            "x\n-\n0\n1\nNot shown: 3 more rows. The whole table is x.csv.\n");
}

TEST(TableTest, NoTableIsWiderThanItsRoom) {
  Table table("t", std::string(120, 't'),
              {{std::string(50, 'h')}, {"a_long_name_of_a_column", "unit"}, {"x"}, {"y"}});
  table.AddRow({std::string(200, 'a'), "one two three four five six seven", 1e300, "z"});
  table.AddRow({"a.b_c/d", "", -1, std::string(30, 'z') + "\n" + std::string(30, ' ')});
  for (int columns = 1; columns < 200; ++columns) {
    for (const absl::string_view line : absl::StrSplit(table.Text({.columns = columns}), '\n')) {
      ASSERT_LE(line.size(), static_cast<size_t>(columns)) << table.Text({.columns = columns});
    }
  }
}

TEST(TableTest, WithoutNamesOfColumnsThereIsNoHeader) {
  Table table({{""}, {""}});
  table.AddRow({"  --seed VALUE", "What random numbers start from."});
  EXPECT_EQ(table.Text(), "  --seed VALUE  What random numbers start from.\n");
}

TEST(TableTest, GreysDimmedCellsOnlyWhereColorIsWanted) {
  Table table({{"a"}, {"b"}});
  table.AddRow({"1", "2"});
  table.Dim(0, 0);
  EXPECT_EQ(table.Text(), "a  b\n-  -\n1  2\n");
  EXPECT_EQ(table.Text({.color = true}), "a  b\n-  -\n\033[38;5;8m1\033[0m  2\n");
  EXPECT_EQ(table.Csv(), "a,b\n1,2\n");
}

TEST(TableTest, CsvQuotesWhatNeedsIt) {
  Table table({{"plain"}, {"with,comma"}});
  table.AddRow({"say \"hi\"", "two\nlines"});
  table.AddRow({"", " spaces "});
  EXPECT_EQ(table.Csv(), "plain,\"with,comma\"\n\"say \"\"hi\"\"\",\"two\nlines\"\n, spaces \n");
}

TEST(TableDeathTest, ARowMustFitTheHeader) {
  Table table({{"a"}, {"b"}});
  EXPECT_DEATH(table.AddRow({"1"}), "cells of a row");
}

}  // namespace
}  // namespace mase
