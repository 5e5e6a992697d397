#include "mase/data/foreign_data.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(DescribeForeignDataTest, FilesOfOtherKindsAreCalledByTheirNames) {
  const struct {
    std::string bytes;
    const char* description;
  } kCases[] = {
      {std::string("\xff\xfe"
                   "a\0,\0",
                   6),
       "is UTF-16 text; convert it first:\n  iconv -f UTF-16"},
      {std::string("PAR1\x15\0\x15", 7), "is a Parquet file; write it as CSV in Python:"},
      {std::string("PK\x03\x04\x14\0\0\0xl/workbook.xml", 23), "is an Excel workbook (.xlsx);"},
      {"PK\x03\x04 readme.txt", "is a zip archive without NumPy arrays; unpack"},
      {"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook (.xls); save it as CSV"},
      {"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer instead"},
      {"MATLAB 5.0 MAT-file Platform: posix", "is a MATLAB file; write its arrays as CSV there:"},
      {"MATLAB 7.3 MAT-file, Platform: GLNXA64",
       "is a MATLAB file; write its arrays as CSV there:"},
      {"<!DOCTYPE html>\n<html>", "is a web page; "},
      {std::string("a,b\n1,\0002\n", 9), "is no text; CSV, ARFF, npz, npy and HDF5"},
  };
  for (const auto& [bytes, description] : kCases) {
    EXPECT_THAT(DescribeForeignData(bytes), StartsWith(description));
  }
}

TEST(DescribeForeignDataTest, TextMayBeATable) {
  for (const char* text : {"", "a,b,class\n1,2,x\n", "MATLAB version,class\n7.3,x\n",
                           "\xef\xbb\xbf"
                           "a;b\n",
                           "gr\xf6\xdf"
                           "e,b\n"}) {
    EXPECT_EQ(DescribeForeignData(text), "");
  }
}

TEST(CheckNameTest, NamesAreUtf8) {
  EXPECT_TRUE(CheckName("t.csv", "column", "größe").ok());
  const absl::Status status = CheckName("t.csv", "column", "gr\xf6\xdf");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              StartsWith("t.csv: column 'gr\\xf6\\xdf' is not UTF-8;"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("iconv -f WINDOWS-1252 -t UTF-8"));
}

}  // namespace
}  // namespace mase
