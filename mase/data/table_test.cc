#include "mase/data/table.h"

#include <zlib.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/data/file_bytes.h"

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
  EXPECT_EQ(Problem("a,class\n1x,y\n"), ":2: column 'a': '1x' is not a finite number");
  EXPECT_EQ(Problem("a,class\n1,\n"), ":2: no class");
  EXPECT_EQ(Problem("a,class\n"), ": no rows");
  EXPECT_EQ(Problem("1,2\n3,4\n"), ":1: numbers where the names of the columns should be");
  EXPECT_EQ(Problem("a,a,class\n1,2,x\n"), ": two columns are named 'a'");
  EXPECT_EQ(Problem("class\nx\n"), ": no column but the class");
  EXPECT_EQ(Problem("mass,class\n1,x\n", {"", {"mas"}}), ": no column 'mas'; did you mean 'mass'?");
  EXPECT_EQ(Problem("@relation r\n@attribute a real\n"), ": ends before @data");
  EXPECT_EQ(Problem("@relation r\n@atribute a real\n"),
            ":2: '@atribute a real' is not an ARFF declaration");
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

TEST(ReadTableTest, GzipIsRecognisedByItsContent) {
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

TEST(ClassesTest, NumbersAreIndexesAndTextsSort) {
  EXPECT_THAT(OrderClasses({"3", "0"}), ElementsAre("0", "1", "2", "3"));
  EXPECT_THAT(OrderClasses({"pear", "10", "2"}), ElementsAre("10", "2", "pear"));
  EXPECT_THAT(OrderClasses({"-1", "1"}), ElementsAre("-1", "1"));
  const std::string most = absl::StrCat(limits::kMaxClasses - 1);
  EXPECT_EQ(OrderClasses({most}).size(), static_cast<size_t>(limits::kMaxClasses));
  EXPECT_EQ(OrderClasses({absl::StrCat(limits::kMaxClasses)}).size(), 1u);
}

TEST(ClassesTest, AnUnknownClassIsNamedWithItsPlace) {
  const auto table = Parse("a,class\n1,x\n2,y\n");
  EXPECT_THAT(LabelsAsClasses(*table, {"y", "x"})->data<int64_t>(), ElementsAre(1, 0));
  EXPECT_THAT(std::string(LabelsAsClasses(*table, {"x", "z"}).status().message()),
              HasSubstr("table:3: class 'y' is not one of the 2 known: x, z"));
}

}  // namespace
}  // namespace mase
