#include "mase/data/foreign_data.h"

#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/config/text_check.h"

namespace mase {
namespace {

using namespace std::string_view_literals;

constexpr absl::string_view kFromUtf16 =
    "convert it first:\n  iconv -f UTF-16 -t UTF-8 FILE > NEW.csv";
constexpr absl::string_view kFromPandas =
    "write it as CSV in Python:\n  pandas.read_parquet(\"FILE\").to_csv(\"NEW.csv\", index=False)";
constexpr absl::string_view kFromFeather =
    "write it as CSV in Python:\n  pandas.read_feather(\"FILE\").to_csv(\"NEW.csv\", index=False)";
constexpr absl::string_view kFromMatlab =
    "write its arrays as CSV there:\n  writematrix(NAME, \"NEW.csv\")";
constexpr absl::string_view kFromExcel = "save it as CSV there (\"CSV UTF-8\")";

struct Kind {
  std::string_view signature;  // std's, whose literals may hold zero bytes.
  absl::string_view name;
  absl::string_view advice;
};
constexpr Kind kKinds[] = {
    {"\xff\xfe"sv, "UTF-16 text", kFromUtf16},
    {"\xfe\xff"sv, "UTF-16 text", kFromUtf16},
    {"PAR1"sv, "a Parquet file", kFromPandas},
    {"ARROW1"sv, "a Feather file", kFromFeather},
    {"FEA1"sv, "a Feather file", kFromFeather},
    {"\xd0\xcf\x11\xe0"sv, "an Excel workbook (.xls)", kFromExcel},
    {"MATLAB 5.0 MAT-file"sv, "a MATLAB file", kFromMatlab},
    {"MATLAB 7.3 MAT-file"sv, "a MATLAB file", kFromMatlab},
    {"SQLite format 3"sv, "an SQLite database", "export the table as CSV (sqlite3 -csv -header)"},
    {"version https://git-lfs.github.com/"sv, "a Git LFS pointer instead of the file",
     "git lfs pull fetches it"},
    {"BZh"sv, "compressed by bzip2", "unpack it first"},
    {"\xfd"
     "7zXZ\0"sv,
     "compressed by xz", "unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, "compressed by zstd", "unpack it first"},
};

constexpr size_t kHead = 4096;

}  // namespace

std::string DescribeForeignData(absl::string_view bytes) {
  const auto describe = [](absl::string_view name, absl::string_view advice) {
    return absl::StrCat("is ", name, "; ", advice);
  };
  const absl::string_view head = bytes.substr(0, kHead);
  for (const Kind& kind : kKinds) {
    const absl::string_view signature(kind.signature.data(), kind.signature.size());
    if (absl::StartsWith(head, signature)) return describe(kind.name, kind.advice);
  }
  if (absl::StartsWith(head, "PK\x03\x04") || absl::StartsWith(head, "PK\x05\x06")) {
    if (absl::StrContains(bytes, "xl/")) {
      return describe("an Excel workbook (.xlsx)", kFromExcel);
    }
    return describe("a zip archive without NumPy arrays", "unpack it first");
  }
  if (absl::StartsWithIgnoreCase(head, "<!doctype html") ||
      absl::StartsWithIgnoreCase(head, "<html")) {
    return describe("a web page", "the download gave a page instead of the file");
  }
  if (absl::StrContains(head, absl::string_view("\0", 1))) {
    return describe("no text", "CSV, ARFF, npz, npy and HDF5 files are read (docs/data.md)");
  }
  return "";
}

absl::Status CheckName(absl::string_view path, absl::string_view what, absl::string_view name) {
  size_t offset;
  if (EncodingFault(name, offset).empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", what, " '", absl::CHexEscape(name),
                   "' is not UTF-8; convert the file first, as from Windows and Excel:\n  "
                   "iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW.csv"));
}

}  // namespace mase
