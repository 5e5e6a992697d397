#include "mase/data/table.h"

#include <zlib.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/data/file_bytes.h"
#include "mase/data/line_blocks.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string WriteTemp(const std::string& content) {
  const std::string path = absl::StrCat(testing::TempDir(), "/table");
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

absl::StatusOr<DataTable> Parse(const std::string& content, const TableColumns& columns = {}) {
  return ReadTable(WriteTemp(content), columns);
}

// The message after the file's path.
std::string Problem(const std::string& content, const TableColumns& columns = {}) {
  const std::string message(Parse(content, columns).status().message());
  const std::string path = absl::StrCat(testing::TempDir(), "/table");
  return message.rfind(path, 0) == 0 ? message.substr(path.size()) : message;
}

std::string Gzip(const std::string& content) {
  const std::string path = absl::StrCat(testing::TempDir(), "/packed.gz");
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), content.size());
  gzclose(file);
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(LibsvmTest, SparseRowsBecomeATable) {
  const auto table = Parse("+1 1:0.5 3:-2e1  # a comment\n\n-1\n# a line of it\r\n+1 2:+7\r\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->feature_names, ElementsAre("1", "2", "3"));
  EXPECT_THAT(table->features.data<float>(), ElementsAre(0.5f, 0, -20, 0, 0, 0, 0, 7, 0));
  EXPECT_THAT(table->class_texts, ElementsAre("1", "-1"));
  EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(0, 1, 0));
  EXPECT_EQ(table->label_name, "class");
}

// Of one feature far out: what a small file unpacks to is bounded, as of packed ones.
TEST(LibsvmTest, ATableIsAsLargeAsTheLimit) {
  const auto parse = [](int64_t rows, int64_t bytes) {
    std::string text;
    for (int64_t i = 0; i < rows; ++i) absl::StrAppend(&text, i % 2, " 1048575:1\n");
    text.append(bytes - static_cast<int64_t>(text.size()), '\n');
    return Parse(text);
  };
  constexpr int64_t kRowBytes = 1048575 * sizeof(float);
  constexpr int64_t kFree = limits::kUnpackedBytesFree / kRowBytes;  // Rows.
  EXPECT_TRUE(parse(kFree, 4096).ok());
  EXPECT_EQ(parse(kFree + 1, 4096).status().code(), absl::StatusCode::kResourceExhausted);
  constexpr int64_t kRows = 20, kPacked = kRows * kRowBytes / limits::kMaxUnpackRatio;
  EXPECT_TRUE(parse(kRows, kPacked).ok());
  const auto beyond = parse(kRows, kPacked - 1);
  EXPECT_THAT(std::string(beyond.status().message()),
              HasSubstr("20 rows and 1048575 features, as a table: 83886000 bytes, more than"));
}

TEST(LibsvmTest, FeaturesMayBeCountedFromZeroAndGivenByName) {
  EXPECT_THAT(Parse("1 0:1 2:3\n2 1:1\n")->feature_names, ElementsAre("0", "1", "2"));
  const auto table = Parse("1 2:4 9:1\n2 1:5\n", {.features = {"2", "4"}});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features.data<float>(), ElementsAre(4, 0, 0, 0));
  EXPECT_THAT(table->left_out, ElementsAre("1", "3", "5", "6", "7", "8", "9"));
}

TEST(LibsvmTest, WhatIsNoLibsvmIsNamedByItsLine) {
  EXPECT_THAT(Problem("1 1:2\n1 3:1 2:1\n"), HasSubstr(":2: feature 2 stands behind 3"));
  EXPECT_THAT(Problem("1 1:2\n1 1:nan\n"), HasSubstr(":2: '1:nan' is not NUMBER:VALUE"));
  EXPECT_THAT(Problem("1 1:2\n1 1:2 qid:4\n"), HasSubstr("'qid:4' is not NUMBER:VALUE"));
  EXPECT_THAT(Problem("1,2 1:2\n"), HasSubstr(":1: '1,2' are several labels"));
  EXPECT_THAT(Problem("1 1:2\n1 -1:2\n"), HasSubstr("'-1:2' is not NUMBER:VALUE"));
  EXPECT_THAT(Problem("1 1048576:2\n"), HasSubstr("feature 1048576; the limit is 1048576"));
  EXPECT_THAT(Problem("1 1:2\n", {.label = "kind"}), HasSubstr("no column 'kind'"));
  EXPECT_THAT(Problem("0.5 1:2\n1.5 1:2\n"), HasSubstr("holds 0.5, which is no class"));
}

TEST(LibsvmTest, TablesWithColonsInTextsStayTables) {
  EXPECT_THAT(Parse("1 a:b\n2 c:d\n")->feature_names.size(), 1u);
}

TEST(ReadTableTest, ReadsNumbersAsFromCharsDoes) {
  const auto table =
      Parse("a,b,class\n1,-2.5e1,x\n+3,.5,y\n1e-60, 7 ,x\n16777217,3.4028235e38,z\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->features.data<float>(),
              ElementsAre(1, -25, 3, 0.5, 0, 7, 16777216, 3.4028235e38f));
  EXPECT_THAT(table->class_texts, ElementsAre("x", "y", "z"));
  EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(0, 1, 0, 2));
  EXPECT_THAT(table->feature_names, ElementsAre("a", "b"));
}

TEST(ReadTableTest, AcceptsWhatSpreadsheetsWrite) {
  const auto table = Parse(
      "\xef\xbb\xbf\"a\" , \"say \"\"b\"\"\",class\r\n\r\n\"1\",2,\"big, red\"\r\n3,4,small\r\n  "
      "\r\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->feature_names, ElementsAre("a", "say \"b\""));
  EXPECT_THAT(table->features.data<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(table->class_texts, ElementsAre("big, red", "small"));
}

TEST(ReadTableTest, TheClassIsTheNamedColumnElseClassElseTheLast) {
  EXPECT_THAT(Parse("a,class,b\n1,2,3\n")->class_texts, ElementsAre("2"));
  EXPECT_THAT(Parse("a,b,c\n1,2,3\n")->class_texts, ElementsAre("3"));
  EXPECT_THAT(Parse("a,class,b\n1,2,3\n", {"a", {}})->class_texts, ElementsAre("1"));
  EXPECT_THAT(Parse("a,class,b\n1,2,3\n", {"a", {"b"}})->features.data<float>(), ElementsAre(3));
}

TEST(ReadTableTest, SaysWhichColumnsItTook) {
  const auto table = Parse("id,a,b,class\n1,2,3,x\n", {"", {"b"}});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->label_name, "class");
  EXPECT_THAT(table->left_out, ElementsAre("id", "a"));
}

TEST(ReadTableTest, RowsMayHaveNoClassesWhereThatIsAllowed) {
  TableColumns columns = {.label = "class", .label_optional = true};
  const auto table = Parse("a,b\n1,2\n3,4\n", columns);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->rows(), 2);
  EXPECT_EQ(table->label_name, "");
  EXPECT_EQ(table->labels.shape(), Shape({0}));
  EXPECT_THAT(table->class_texts, ElementsAre());
  EXPECT_THAT(table->features.data<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(Parse("a,class\n1,x\n", columns)->label_name, "class");
  EXPECT_THAT(Problem("a,b\n1,2\n", {"class", {}}), HasSubstr("no column 'class'"));
}

TEST(ReadTableTest, ColumnsComeInTheOrderAskedFor) {
  EXPECT_THAT(Parse("a,b,c,d\n1,2,3,x\n", {"d", {"c", "a"}})->features.data<float>(),
              ElementsAre(3, 1));
}

TEST(ReadTableTest, ArffHeadersMayQuoteAndComment) {
  const auto table = Parse(
      "% about\n@relation r\n\n@attribute 'my a' numeric\n@ATTRIBUTE kind {'big one',small}\n"
      "@data\n% a remark\n1.5,'big one'\n2,small\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->feature_names, ElementsAre("my a"));
  EXPECT_THAT(table->features.data<float>(), ElementsAre(1.5, 2));
  EXPECT_THAT(table->class_texts, ElementsAre("big one", "small"));
}

TEST(ReadTableTest, WrongContentIsNamedWithFileAndLine) {
  EXPECT_EQ(Problem("a,class\n1,x\n\n2\n"), ":4: 1 cells, the header has 2");
  EXPECT_EQ(Problem("a,class\n1,x,3\n"), ":2: more cells than the header's 2");
  EXPECT_EQ(Problem("a,class\n1,x\n,y\n"), ":3: column 'a': '' is not a finite number");
  EXPECT_EQ(Problem("a,class\n1,x\nnan,y\n"), ":3: column 'a': 'nan' is not a finite number");
  EXPECT_EQ(Problem("a,class\ninf,y\n"), ":2: column 'a': 'inf' is not a finite number");
  EXPECT_EQ(Problem("a,class\n1e39,y\n"), ":2: column 'a': '1e39' is not a finite number");
  EXPECT_EQ(Problem("a,class\n1,x\n1x,y\n"), ":3: column 'a': '1x' is not a finite number");
  EXPECT_EQ(Problem("a,class\n1,\n"), ":2: no class in column 'class'");
  EXPECT_EQ(Problem("a,class\n"), ": no rows");
  EXPECT_EQ(Problem("a,a,class\n1,2,x\n"), ": two columns are named 'a'");
  EXPECT_EQ(Problem("class\nx\n"),
            ": has one column alone, 'class'; want features and a class, divided by ',' ';' '|', "
            "tabs or blanks");
  EXPECT_EQ(Problem("a,class\nb,x\n"), ": no column of numbers but the class; columns of texts: a");
  EXPECT_EQ(Problem("a,b,class\n1,2,x\n", {"kind", {}}), ": no column 'kind'; it has: a, b, class");
  EXPECT_EQ(Problem("a,b,class\n1,2,x\n", {"", {"a", "a"}}), ": feature 'a' is named twice");
  EXPECT_EQ(Problem("a,b,class\n1,2,x\n", {"", {"a", "class"}}),
            ": column 'class' is the class and cannot be a feature too");
  EXPECT_EQ(Problem("mass,class\n1,x\n", {"", {"mas"}}), ": no column 'mas'; did you mean 'mass'?");
  EXPECT_EQ(Problem("@relation r\n@attribute a real\n"), ": ends before @data");
  EXPECT_EQ(Problem("@relation r\n@atribute a real\n"),
            ":2: '@atribute a real' is not an ARFF declaration");
}

// The notes without the file's path.
std::vector<std::string> NotesOf(const std::string& content, const TableColumns& columns = {}) {
  const auto table = Parse(content, columns);
  EXPECT_TRUE(table.ok()) << table.status();
  std::vector<std::string> notes;
  if (!table.ok()) return notes;
  const size_t path = absl::StrCat(testing::TempDir(), "/table: ").size();
  for (const std::string& note : table->notes) notes.push_back(note.substr(path));
  return notes;
}

DataTable ReadCase(const std::string& name, const TableColumns& columns = {}) {
  const auto table = ReadTable(Runfile("testdata/readers/" + name), columns);
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? *table : DataTable();
}

TEST(HeaderTest, NamesMayBeginLikeNumbers) {
  const DataTable right = ReadCase("header_info.csv");
  EXPECT_EQ(right.features.shape(), Shape({40, 3}));
  EXPECT_THAT(right.feature_names, ElementsAre("info", "b", "c"));
  for (const char* name : {"header_names.csv", "header_nan.csv", "header_numbers.csv"}) {
    const DataTable table = ReadCase(name);
    EXPECT_TRUE(BitEqual(table.features, right.features)) << name;
    EXPECT_TRUE(BitEqual(table.labels, right.labels)) << name;
  }
  EXPECT_THAT(ReadCase("header_numbers.csv").feature_names, ElementsAre("0", "1", "2"));
  EXPECT_THAT(ReadCase("header_numbers.csv").notes,
              ElementsAre(HasSubstr("header_numbers.csv: the first line is the header: '0' is a "
                                    "name")));
}

TEST(HeaderTest, AFirstLineLikeTheOthersIsARow) {
  const auto iris = Parse("5.1,3.5,setosa\n4.9,3,setosa\n7,3.2,versicolor\n");
  ASSERT_TRUE(iris.ok()) << iris.status();
  EXPECT_EQ(iris->rows(), 3);
  EXPECT_THAT(iris->feature_names, ElementsAre("0", "1"));
  EXPECT_THAT(iris->class_texts, ElementsAre("setosa", "versicolor"));
  EXPECT_EQ(iris->class_places[1], absl::StrCat(testing::TempDir(), "/table:3"));
  EXPECT_EQ(Parse("1,2,0\n3,4,1\n")->rows(), 2);
  EXPECT_EQ(Parse("\n1,nan,0\n").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(NotesOf("1,2,0\n3,4,1\n"),
              ElementsAre("no header line; columns are called 0 to 2",
                          "the class is column '2', the last; dataset.label names another"));
  // The class of the first line comes again only far below.
  std::string sorted = "1,2,x\n";
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&sorted, "1,2,y\n");
  EXPECT_EQ(Parse(sorted + "1,2,x\n")->rows(), 5002);
}

TEST(HeaderTest, AnythingElseIsAHeader) {
  EXPECT_THAT(Parse("2019,2020,country\n1,2,France\n3,4,Spain\n")->feature_names,
              ElementsAre("2019", "2020"));
  EXPECT_THAT(Parse("0,1,2\n5,6,0\n7,8,1\n")->feature_names, ElementsAre("0", "1"));
  EXPECT_EQ(Parse("0,1\n5,0\n7,1\n")->rows(), 3);  // Two numbers are no column numbers.
  EXPECT_THAT(Parse("nan,inf\n1,0\n")->feature_names, ElementsAre("nan"));
}

TEST(DialectTest, SeparatorsAndDecimalCommasAreRecognized) {
  const DataTable right = ReadCase("header_info.csv");
  const DataTable semicolon = ReadCase("semicolon.csv");
  EXPECT_TRUE(BitEqual(semicolon.features, right.features));
  EXPECT_TRUE(BitEqual(semicolon.labels, right.labels));
  EXPECT_THAT(semicolon.notes, ElementsAre(HasSubstr("cells are separated by ';', with decimal "
                                                     "commas")));
  const struct {
    const char* text;
    const char* note;
  } kFiles[] = {
      {"a;b;class\n0,5;1;x\n2;-3,5e1;y\n", "cells are separated by ';', with decimal commas"},
      {"a;b;class\n.5;1;x\n2;-35;y\n", "cells are separated by ';'"},
      {"a\tb\tclass\n0.5\t1\tx\n2\t-35\ty\n", "cells are separated by tabs"},
      {"a|b|class\n0.5|1|x\n2|-35|y\n", "cells are separated by '|'"},
      {"a b class\n0.5 1  x\n  2\t-35 y \n", "cells are separated by blanks"},
      {"0,5;1;x\n2;-35;y\n0;0;x\n", "cells are separated by ';', with decimal commas"},
  };
  for (const auto& file : kFiles) {
    const auto table = Parse(file.text);
    ASSERT_TRUE(table.ok()) << file.text << table.status();
    EXPECT_THAT(table->features.data<float>().subspan(0, 4), ElementsAre(.5, 1, 2, -35))
        << file.text;
    EXPECT_THAT(table->class_texts, ElementsAre("x", "y"));
    EXPECT_EQ(NotesOf(file.text)[0], file.note);
  }
  // Labels with decimal commas are numbers too.
  EXPECT_THAT(Parse("a;class\n0,5;1,0\n2;2,0\n")->class_texts, ElementsAre("1.0", "2.0"));
  // What stands in quotes divides nothing.
  EXPECT_THAT(Parse("a,class\n1,\"x;y\"\n2,\"z;w\"\n")->class_texts, ElementsAre("x;y", "z;w"));
  // Points and commas in one file: a comma is no decimal comma there.
  EXPECT_EQ(Problem("a;b;class\n1.5;1,5;x\n1.5;1;x\n"),
            ":2: column 'b': '1,5' is not a finite number");
  // Nor is a point a decimal one where commas are, far down in the file too: 1.234 may be 1234.
  std::string commas = "a;b;class\n";
  for (int i = 0; i < 40; ++i) commas += "0,5;1;x\n";
  EXPECT_EQ(Problem(commas + "1.234;1;x\n"), ":42: column 'a': '1.234' is not a finite number");
}

TEST(ColumnsTest, NamelessOnesAreNoFeatures) {
  const DataTable table = ReadCase("pandas_index_sorted.csv");
  EXPECT_THAT(table.feature_names, ElementsAre("a"));
  EXPECT_THAT(table.notes,
              ElementsAre(HasSubstr("no feature: column 1, which has no name (row numbers?)")));
  EXPECT_THAT(Parse("Unnamed: 0,a,class\n0,5,x\n")->feature_names, ElementsAre("a"));
  EXPECT_THAT(Parse("a,class,\n5,x,\n6,y,\n")->feature_names, ElementsAre("a"));
  EXPECT_THAT(Parse("a,class\n5,x,\n6,y,\n")->features.data<float>(), ElementsAre(5, 6));
  EXPECT_THAT(Parse("a class\n1 5 x\n2 6 y\n")->features.data<float>(), ElementsAre(5, 6));
  EXPECT_THAT(Parse("\ta\tclass\n0\t5\tx\n")->features.data<float>(), ElementsAre(5));
}

TEST(ColumnsTest, TextsAreNoFeaturesUnlessNamed) {
  const std::string text = "name,a,class\nJo,1,x\nAl,2,y\n";
  EXPECT_THAT(Parse(text)->feature_names, ElementsAre("a"));
  EXPECT_THAT(Parse(text)->left_out, ElementsAre("name"));
  EXPECT_THAT(NotesOf(text), ElementsAre("no feature: name, which holds texts"));
  EXPECT_EQ(Problem(text, {"", {"name"}}), ":2: column 'name': 'Jo' is not a finite number");
  EXPECT_THAT(NotesOf(text, {"", {"a"}}), ElementsAre());
}

TEST(ColumnsTest, ClassColumnsAreKnownByName) {
  EXPECT_THAT(NotesOf("a,class,b\n1,x,2\n"), ElementsAre());
  EXPECT_THAT(NotesOf("Label,a\n3,2\n"), ElementsAre("the class is column 'Label'"));
  EXPECT_THAT(Parse("Target,a\n3,2\n")->class_texts, ElementsAre("3"));
  EXPECT_THAT(NotesOf("a,species\n1,x\n"),
              ElementsAre("the class is column 'species', the last; dataset.label names another"));
  EXPECT_EQ(Parse("a,b\n1,x\n", {"", {"a"}})->label_name, "b");
}

TEST(ColumnsTest, SeveralLabelColumnsAreOneHot) {
  const auto table = Parse("a,cat,dog,b\n1,0,1,2\n3,1,0,4\n", {"cat, dog", {}});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->feature_names, ElementsAre("a", "b"));
  EXPECT_THAT(table->features.data<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(table->class_texts, ElementsAre("cat", "dog"));
  EXPECT_THAT(table->labels.data<int64_t>(), ElementsAre(1, 0));
  for (const char* marks : {"1,1", "0,0", "0.5,0.5", "2,0"}) {
    EXPECT_EQ(Problem(absl::StrCat("a,cat,dog\n1,0,1\n1,", marks, "\n"), {"cat,dog", {}}),
              ": row 1: 'cat,dog' is not one-hot: want one 1 and else 0 in the 2 columns that mark "
              "the classes");
  }
  EXPECT_EQ(Problem("a,cat,dog\n1,0,1\n", {"cat,fox", {}}),
            ": no column 'fox'; it has: a, cat, dog");
}

TEST(ColumnsTest, ALastColumnThatHoldsNoClassesIsRefused) {
  EXPECT_EQ(Problem("a,price\n1,2\n3,2.5\n"),
            ":3: the last column, 'price', holds 2.5, which is no class; name the column that "
            "holds the class: --set dataset.label=NAME");
  std::string text = "a,id\n";
  for (int i = 0; i < 20; ++i) absl::StrAppend(&text, i, ",", 100 + i, "\n");
  EXPECT_EQ(Problem(text),
            ": the last column, 'id', has 20 different values in 20 rows: these are no classes; "
            "name the column that holds the class: --set dataset.label=NAME");
  EXPECT_TRUE(Parse(text, {"id", {}}).ok());
  EXPECT_EQ(Problem("a,target\n1,2\n3,2.5\n"),
            ":3: 'target', holds 2.5, which is no class; name the column that holds the class: "
            "--set dataset.label=NAME");
  // The user may mean it, if the values repeat.
  EXPECT_TRUE(Parse("a,t\n1,0.5\n3,0.5\n4,1\n5,1\n", {"t", {}}).ok());
  EXPECT_EQ(Problem("a,t\n1,0.5\n3,1\n4,1.5\n", {"t", {}}),
            ":2: 't', holds 0.5, which is no class; labels are whole numbers or texts");
  EXPECT_EQ(Problem("a,class\n1,0\n3,?\n4,NA\n5,1\n"),
            ":3: column 'class': '?' is no class; rows without one can only be predicted");
  EXPECT_EQ(Problem("a,class\n1,0\n3,1\n4,NA\n"),
            ":4: column 'class': 'NA' is no class; rows without one can only be predicted");
}

TEST(ReadTableTest, EmptyAndHeaderlessFilesAreErrors) {
  EXPECT_FALSE(Parse("").ok());
  EXPECT_FALSE(Parse("\n\n").ok());
  EXPECT_FALSE(Parse("@data\n").ok());
}

TEST(ReadTableTest, ThreadsDoNotShowInTheResult) {
  // Large enough to be cut among threads; classes first appear in different parts.
  std::string text = "a,b,class\n";
  for (int i = 0; i < 300'000; ++i) absl::StrAppend(&text, i, ",-", i, ".5,c", i / 100'000, "\n");
  auto table = Parse(text);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->class_texts, ElementsAre("c0", "c1", "c2"));
  for (int i = 0; i < 300'000; ++i) {
    ASSERT_EQ(table->features.data<float>()[2 * i], i);
    ASSERT_EQ(table->features.data<float>()[2 * i + 1], -(i + 0.5f));
    ASSERT_EQ(table->labels.data<int64_t>()[i], i / 100'000);
  }
  absl::StrAppend(&text, "oops,1,c\n");
  EXPECT_EQ(Problem(text), ":300002: column 'a': 'oops' is not a finite number");
}

TEST(ReadTableTest, FilesOfOtherKindsAndEncodingsAreRefusedByName) {
  EXPECT_THAT(Problem(std::string("\xff\xfe"
                                  "a\0,\0b\0\n\0",
                                  10)),
              HasSubstr("is UTF-16 text;"));
  EXPECT_THAT(Problem(Gzip("<html>\n")), HasSubstr("is a web page;"));
  EXPECT_THAT(Problem("gr\xf6\xdf,class\n1,x\n"), HasSubstr("column 'gr\\xf6\\xdf' is not UTF-8"));
  EXPECT_THAT(Problem("a,class\n1,B\xe4r\n"), HasSubstr("class 'B\\xe4r' is not UTF-8"));
}

TEST(ReadTableTest, GzipIsRecognizedByItsContent) {
  const std::string packed = Gzip("a,class\n1,x\n2,y\n");
  EXPECT_EQ(Parse(packed)->rows(), 2);
  EXPECT_EQ(Parse(packed + Gzip("3,z\n"))->rows(), 3);  // Members follow one another.
  for (size_t size : {packed.size() - 1, packed.size() - 9, size_t{12}, size_t{3}}) {
    const absl::Status status = Parse(packed.substr(0, size)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_THAT(std::string(status.message()), HasSubstr("truncated gzip")) << size;
  }
  std::string damaged = packed;
  damaged[packed.size() - 6] ^= 1;  // In the checksum.
  EXPECT_EQ(Parse(damaged).status().code(), absl::StatusCode::kDataLoss);
}

// The most memory that this process had since the last call, and what it has now, in bytes.
int64_t MemoryField(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name, 0) == 0) return 1024 * std::stoll(line.substr(name.size()));
  }
  return -1;
}

// Rows "i,some long note,class" in which a new class appears far down.
std::string ManyRows(int64_t bytes) {
  const std::string note(1000, 'n');
  std::string text = "a,note,class\n";
  for (int64_t i = 0; static_cast<int64_t>(text.size()) < bytes; ++i) {
    absl::StrAppend(&text, i, ",", note, ",", i < 100000 ? "early" : "late", "\n");
  }
  return text;
}

TEST(ReadTableTest, LargeFilesAreReadInBlocks) {
  const std::string path = WriteTemp(ManyRows(3 * LineBlocks::kMaxBytes));
  std::ofstream("/proc/self/clear_refs") << "5";  // Forgets the peak.
  const int64_t before = MemoryField("VmRSS:");
  const auto table = ReadTable(path, {});
  [[maybe_unused]] const int64_t taken = MemoryField("VmHWM:") - before;
  ASSERT_TRUE(table.ok()) << table.status();
#ifndef MASE_THREAD_SANITIZER  // Which has books of its own for each byte.
  EXPECT_LT(taken, 2 * LineBlocks::kMaxBytes) << "of a file of " << 3 * LineBlocks::kMaxBytes;
#endif
  ASSERT_GT(table->rows(), 190000);
  for (int64_t i = 0; i < table->rows(); ++i) {
    ASSERT_EQ(table->features.data<float>()[i], i);
    ASSERT_EQ(table->labels.data<int64_t>()[i], i < 100000 ? 0 : 1) << i;
  }
  EXPECT_THAT(table->class_texts, ElementsAre("early", "late"));
  EXPECT_THAT(table->class_places[1], HasSubstr("/table:100002"));
}

TEST(ReadTableTest, LargeFilesMayBePacked) {
  const std::string text = ManyRows(LineBlocks::kMaxBytes + 5000);
  const auto plain = Parse(text);
  const auto packed = Parse(Gzip(text));
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->rows(), plain->rows());
  EXPECT_TRUE(packed->features.data<float>() == plain->features.data<float>());
  EXPECT_THAT(Problem(Gzip(text + "what,x,early\n")),
              HasSubstr(absl::StrCat(":", plain->rows() + 2, ": column 'a': 'what'")));
}

TEST(LineBlocksTest, LinesAreLimited) {
  const std::string longest(LineBlocks::kMaxBytes - 1, 'x');
  for (const std::string rest : {"", "y", "y\n"}) {
    const auto lines = LineBlocks::Open(WriteTemp(absl::StrCat(longest, "\n", rest)));
    ASSERT_TRUE(lines.ok());
    EXPECT_TRUE(*(*lines)->Next() == longest + "\n");
    EXPECT_EQ(*(*lines)->Next(), rest);
    EXPECT_EQ(*(*lines)->Next(), "");
    EXPECT_TRUE((*lines)->Rewind().ok());
    EXPECT_TRUE(*(*lines)->Next() == longest + "\n");
  }
  const auto lines = LineBlocks::Open(WriteTemp(longest + "x\ny"));
  EXPECT_EQ((*lines)->Next().status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(LineBlocksTest, FilesAreLimited) {
  const std::string path = WriteTemp("");
  std::filesystem::resize_file(path, limits::kMaxDataFileBytes);  // Of zeros that are not there.
  EXPECT_TRUE(LineBlocks::Open(path).ok());
  std::filesystem::resize_file(path, limits::kMaxDataFileBytes + 1);
  EXPECT_EQ(LineBlocks::Open(path).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FileBytes::Open(path).status().code(), absl::StatusCode::kResourceExhausted);
  WriteTemp("");
}

TEST(FileBytesTest, UnpackedSizeIsLimited) {
  const std::string path = WriteTemp(Gzip(std::string(1000, 'x')));
  EXPECT_EQ(FileBytes::Open(path, 1001)->bytes().size(), 1000u);
  EXPECT_EQ(FileBytes::Open(path, 1000)->bytes().size(), 1000u);
  EXPECT_EQ(FileBytes::Open(path, 999).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(FileBytesTest, OpensRegularFilesOnly) {
  EXPECT_EQ(FileBytes::Open("/nowhere/x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FileBytes::Open("/").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FileBytes::Open(WriteTemp(""))->bytes(), "");
}

TEST(ReadTableTest, ColumnNamesAreLimited) {
  const std::string longest(limits::kMaxNameBytes, 'n');
  EXPECT_TRUE(Parse(longest + ",class\n1,x\n").ok());
  EXPECT_EQ(Parse(longest + "n,class\n1,x\n").status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ReadTableTest, ColumnsAreLimited) {
  const auto table_with = [](int64_t columns) {
    std::string header = "class";
    std::string row = "x";
    for (int64_t i = 1; i < columns; ++i) {
      absl::StrAppend(&header, ",c", i);
      absl::StrAppend(&row, ",1");
    }
    return Parse(absl::StrCat(header, "\n", row, "\n"));
  };
  EXPECT_TRUE(table_with(limits::kMaxDataColumns).ok());
  EXPECT_EQ(table_with(limits::kMaxDataColumns + 1).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mase
