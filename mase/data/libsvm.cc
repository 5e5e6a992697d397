#include "mase/data/libsvm.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/data/delimited.h"
#include "mase/data/labels.h"

namespace mase {
namespace {

constexpr char kLabel[] = "class";

struct Cell {
  int64_t feature = 0;
  float value = 0;
};

absl::string_view NextWord(absl::string_view& line) {
  line = absl::StripLeadingAsciiWhitespace(line);
  const absl::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

// What of a line is a row.
absl::string_view RowOf(absl::string_view line) {
  return absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
}

bool ParseDouble(absl::string_view text, double* number) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseCell(absl::string_view word, Cell* cell) {
  const char* const end = word.data() + word.size();
  const auto [colon, error] = std::from_chars(word.data(), end, cell->feature);
  if (error != std::errc() || colon == end || *colon != ':' || cell->feature < 0) return false;
  double value = 0;
  if (!ParseDouble(absl::string_view(colon + 1, end - colon - 1), &value)) return false;
  cell->value = static_cast<float>(value);
  return std::isfinite(cell->value);
}

// All rows, one after another.
struct Rows {
  std::vector<double> labels;
  std::vector<size_t> ends;  // Of each row's cells.
  std::vector<Cell> cells;
  int64_t least = limits::kMaxDataColumns, most = 0;  // Features that occur.
};

absl::StatusOr<Rows> ParseRows(absl::string_view path, absl::string_view text) {
  Rows rows;
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  const auto cells = std::count(text.begin(), text.end(), ':');
  constexpr auto kRowBytes = static_cast<int64_t>(sizeof(double) + sizeof(size_t));
  MASE_RETURN_IF_ERROR(
      CheckMemory(lines * kRowBytes + cells * static_cast<int64_t>(sizeof(Cell)), path));
  rows.labels.reserve(lines);
  rows.ends.reserve(lines);
  rows.cells.reserve(cells);
  for (int64_t number = 1; !text.empty(); ++number) {
    const auto error = [&](const auto&... what) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", what...));
    };
    absl::string_view line = RowOf(NextLine(text));
    if (line.empty()) continue;
    const absl::string_view label = NextWord(line);
    double value = 0;
    if (!ParseDouble(label, &value)) {
      return error(Quoted(label), absl::StrContains(label, ",") ? " are several labels; one is read"
                                                                : " is no number for a label");
    }
    rows.labels.push_back(value);
    int64_t last = -1;
    while (!(line = absl::StripLeadingAsciiWhitespace(line)).empty()) {
      const absl::string_view word = NextWord(line);
      Cell cell;
      if (!ParseCell(word, &cell)) {
        return error(Quoted(word), " is not NUMBER:VALUE with a finite value");
      }
      if (cell.feature <= last) {
        return error("feature ", cell.feature, " stands behind ", last, "; they have to ascend");
      }
      if (cell.feature >= limits::kMaxDataColumns) {
        return absl::ResourceExhaustedError(absl::StrCat(path, ":", number, ": feature ",
                                                         cell.feature, "; the limit is ",
                                                         limits::kMaxDataColumns, " columns"));
      }
      last = cell.feature;
      rows.least = std::min(rows.least, cell.feature);
      rows.most = std::max(rows.most, cell.feature);
      rows.cells.push_back(cell);
    }
    rows.ends.push_back(rows.cells.size());
  }
  if (rows.labels.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no rows"));
  if (rows.cells.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no row has a feature"));
  }
  return rows;
}

}  // namespace

bool LooksLikeLibsvm(absl::string_view text) {
  constexpr int kLines = 33;
  bool found = false;
  for (int i = 0; i < kLines && !text.empty(); ++i) {
    absl::string_view line = RowOf(NextLine(text));
    double label = 0;
    if (line.empty()) continue;
    const absl::string_view first = NextWord(line);
    if (!ParseDouble(first.substr(0, first.find(',')), &label)) return false;
    // The first cell tells: later ones may be wrong, which is said when they are read.
    const absl::string_view cell = NextWord(line);
    const size_t colon = cell.find(':');
    if (cell.empty()) continue;
    int64_t number = 0;
    if (colon == absl::string_view::npos || !absl::SimpleAtoi(cell.substr(0, colon), &number)) {
      return false;
    }
    found = true;
  }
  return found;
}

absl::StatusOr<DataTable> ParseLibsvm(absl::string_view path, absl::string_view text,
                                      const TableColumns& columns) {
  MASE_ASSIGN_OR_RETURN(const Rows rows, ParseRows(path, text));
  if (!columns.label.empty() && columns.label != kLabel) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": no column ", Quoted(columns.label),
        "; the label of a LIBSVM file is the first number of each row, '", kLabel, "'"));
  }
  DataTable table;
  table.label_name = kLabel;
  // The place of each feature among the columns; -1: not wanted.
  std::vector<int64_t> places(rows.most + 1, -1);
  if (columns.features.empty()) {
    for (int64_t i = rows.least == 0 ? 0 : 1; i <= rows.most; ++i) {
      places[i] = static_cast<int64_t>(table.feature_names.size());
      table.feature_names.push_back(absl::StrCat(i));
    }
    table.notes.push_back(absl::StrCat(path, ": LIBSVM rows of ", table.feature_names.size(),
                                       " features; what is missing is 0"));
  } else {
    for (const std::string& name : columns.features) {
      int64_t number = 0;
      if (!absl::SimpleAtoi(name, &number) || number < 0) {
        return absl::InvalidArgumentError(absl::StrCat(path, ": no column ", Quoted(name),
                                                       "; features of a LIBSVM file are numbers"));
      }
      const auto place = static_cast<int64_t>(table.feature_names.size());
      if (number <= rows.most) places[number] = place;
      table.feature_names.push_back(name);
    }
    for (int64_t i = rows.least; i <= rows.most; ++i) {
      if (places[i] < 0) table.left_out.push_back(absl::StrCat(i));
    }
  }
  const auto count = static_cast<int64_t>(rows.labels.size());
  const auto width = static_cast<int64_t>(table.feature_names.size());
  const int64_t bytes = count * width * static_cast<int64_t>(sizeof(float));
  const std::string what = absl::StrCat(path, ", a sparse file of ", count, " rows and ", width,
                                        " features, as a table");
  const int64_t most =
      std::min(limits::kMaxUnpackedBytes,
               std::max(limits::kUnpackedBytesFree,
                        limits::kMaxUnpackRatio * static_cast<int64_t>(text.size())));
  if (bytes > most) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": ", bytes, " bytes, more than the limit of ", most,
                     "; name the features that are wanted (dataset.features)"));
  }
  MASE_RETURN_IF_ERROR(CheckMemory(bytes, what));
  MASE_ASSIGN_OR_RETURN(table.features, Tensor::Create(DType::kFloat32, {count, width}));
  float* row = table.features.mutable_data<float>().data();
  std::fill_n(row, count * width, 0.0f);
  size_t cell = 0;
  for (const size_t end : rows.ends) {
    for (; cell < end; ++cell) {
      const int64_t place = places[rows.cells[cell].feature];
      if (place >= 0) row[place] = rows.cells[cell].value;
    }
    row += width;
  }
  MASE_RETURN_IF_ERROR(SetNumberLabels(rows.labels, path, table));
  MASE_RETURN_IF_ERROR(CheckLabels(table, LabelChoice::kKnownName, path));
  return table;
}

}  // namespace mase
