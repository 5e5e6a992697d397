#include "mase/base/table.h"

#include <string>

#include "gtest/gtest.h"

namespace mase {
namespace {

// MASE's histogram of jsc-tiny with its linear layer quantized.
Table Histogram() {
  Table table({"Original type", "OP", "Total", "Changed", "Unchanged"});
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
  Table table({"Name", "Default", "Effective"});
  table.SetAlign(1, Table::Align::kCenter);
  table.SetAlign(2, Table::Align::kCenter);
  table.AddRow({"batch_size", "128", "256"});
  EXPECT_EQ(table.Boxed(),
            "+------------+---------+-----------+\n"
            "| Name       | Default | Effective |\n"
            "+------------+---------+-----------+\n"
            "| batch_size |   128   |    256    |\n"
            "+------------+---------+-----------+\n");
}

TEST(TableTest, GridLookRulesEveryRowAndKeepsLineBreaks) {
  Table table({"Node name", "Param"});
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
  Table table({"Name", "Total"});
  table.AddRow({"x", "1"});
  table.AddRow({"long name", ""});
  EXPECT_EQ(table.Plain(),
            "Name       Total\n"
            "x              1\n"
            "long name\n");
}

TEST(TableTest, WithoutRowsOnlyTheHeaderShows) {
  const Table table({"a", "b"});
  EXPECT_EQ(table.Boxed(), "+---+---+\n| a | b |\n+---+---+\n+---+---+\n");
  EXPECT_EQ(table.Grid(), "+-----+-----+\n| a   | b   |\n+=====+=====+\n");
  EXPECT_EQ(table.Org(), "| a   | b   |\n|-----+-----|\n");
  EXPECT_EQ(table.Csv(), "a,b\n");
}

TEST(TableTest, WrapsLongCellsAtSpacesElseAnywhere) {
  Table table({"v"});
  table.SetMaxCellWidth(5);
  table.AddRow({"one two three"});
  table.AddRow({"abcdefghijk"});
  table.AddRow({"12345 6"});
  EXPECT_EQ(table.Plain(), "v\none\ntwo\nthree\nabcde\nfghij\nk\n12345\n6\n");
}

TEST(TableTest, WidthsCountCharactersNotBytes) {
  Table table({"µ", "b"});
  table.AddRow({"ééé", "x"});
  EXPECT_EQ(table.Org(), "| µ   | b   |\n|-----+-----|\n| ééé | x   |\n");
  table.SetMaxCellWidth(2);
  EXPECT_EQ(table.Plain(), "µ   b\néé  x\né\n");
}

TEST(TableTest, GreysDimmedCellsOnlyWhereColorIsWanted) {
  Table table({"a", "b"});
  table.AddRow({"1", "2"});
  table.Dim(0, 0);
  EXPECT_EQ(table.Plain(), "a  b\n1  2\n");
  table.UseColor(true);
  EXPECT_EQ(table.Plain(), "a  b\n\033[38;5;8m1\033[0m  2\n");
  EXPECT_EQ(table.Csv(), "a,b\n1,2\n");
}

TEST(TableTest, CsvQuotesWhatNeedsIt) {
  Table table({"plain", "with,comma"});
  table.AddRow({"say \"hi\"", "two\nlines"});
  table.AddRow({"", " spaces "});
  EXPECT_EQ(table.Csv(), "plain,\"with,comma\"\n\"say \"\"hi\"\"\",\"two\nlines\"\n, spaces \n");
}

TEST(TableDeathTest, ARowMustFitTheHeader) {
  Table table({"a", "b"});
  EXPECT_DEATH(table.AddRow({"1"}), "cells of a row");
}

}  // namespace
}  // namespace mase
