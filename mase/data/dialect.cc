#include "mase/data/dialect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/delimited.h"

namespace mase {
namespace {

constexpr size_t kSampledRows = 32;
constexpr size_t kSearchedRows = 10'000;  // For a text that occurs again.

using Row = std::vector<std::string>;

// The first lines that are not blank, undivided.
std::vector<absl::string_view> SampleLines(absl::string_view text, size_t count, char comment) {
  std::vector<absl::string_view> lines;
  while (!text.empty() && lines.size() < count) {
    const absl::string_view line = NextLine(text);
    if (IsRow(line, comment)) lines.push_back(line);
  }
  return lines;
}

std::vector<Row> Split(absl::Span<const absl::string_view> lines, char separator) {
  std::vector<Row> rows;
  for (const absl::string_view line : lines) rows.push_back(SplitCells(line, separator));
  return rows;
}

// The number of cells of each row, 0 if they differ.
int64_t CellsOfEach(absl::Span<const Row> rows) {
  if (rows.empty()) return 0;
  const auto differs = [&](const Row& row) { return row.size() != rows[0].size(); };
  return std::any_of(rows.begin(), rows.end(), differs) ? 0 : rows[0].size();
}

bool Divides(absl::Span<const Row> lines) {
  const absl::Span<const Row> rows = lines.size() > 1 ? lines.subspan(1) : lines;
  return lines[0].size() > 1 && CellsOfEach(rows) > 1;
}

bool HasDecimal(absl::string_view cell, char decimal) {
  double value;
  return absl::StrContains(cell, decimal) && ParseNumber(cell, decimal, value);
}

// Dialect::decimal. What looks like a decimal point in the first line may be part of a name.
char DecimalOf(absl::Span<const Row> lines) {
  bool comma = false;
  for (const Row& line : lines) {
    for (const std::string& cell : line) {
      if (&line != &lines[0] && HasDecimal(cell, '.')) return '.';
      comma = comma || HasDecimal(cell, ',');
    }
  }
  return comma ? ',' : '.';
}

bool AreColumnNumbers(const Row& cells) {
  for (size_t i = 0; i < cells.size(); ++i) {
    if (cells[i] != absl::StrCat(i)) return false;
  }
  return cells.size() >= 3;
}

bool OccursAgain(const Row& first, absl::Span<const absl::string_view> lines, const Dialect& is) {
  for (const absl::string_view line : lines) {
    const Row row = SplitCells(line, is.separator);
    for (size_t i = 0; i < std::min(row.size(), first.size()); ++i) {
      const bool same = row[i] == first[i];
      if (same && KindOfCell(first[i], is.decimal) == CellKind::kText) return true;
    }
  }
  return false;
}

// Dialect::header.
bool IsHeader(const Row& first, absl::Span<const Row> rows, absl::string_view text,
              const Dialect& is) {
  bool has_number = false;
  bool has_text = false;
  for (size_t i = 0; i < first.size(); ++i) {
    const CellKind kind = KindOfCell(first[i], is.decimal);
    has_number = has_number || kind == CellKind::kNumber;
    if (kind != CellKind::kText) continue;
    has_text = true;
    const auto below_is_number = [&](const Row& row) {
      return i < row.size() && KindOfCell(row[i], is.decimal) == CellKind::kNumber;
    };
    if (std::any_of(rows.begin(), rows.end(), below_is_number)) return true;
  }
  if (!has_number) return true;
  if (!has_text) return AreColumnNumbers(first);
  const std::vector<absl::string_view> lines = SampleLines(text, kSearchedRows, '\0');
  return !OccursAgain(first, absl::MakeConstSpan(lines).subspan(1), is);
}

// Dialect::columns.
std::vector<std::string> ColumnNames(const Row& first, absl::Span<const Row> rows,
                                     const Dialect& is) {
  std::vector<std::string> names = first;
  if (!is.header) {
    for (size_t i = 0; i < names.size(); ++i) names[i] = absl::StrCat(i);
  } else if (CellsOfEach(rows) == static_cast<int64_t>(first.size()) + 1) {
    if (rows[0].back().empty()) {
      names.emplace_back();
    } else if (is.separator != ',') {
      names.insert(names.begin(), "");
    }
  }
  return names;
}

std::vector<bool> TextColumns(absl::Span<const Row> rows, char decimal) {
  std::vector<bool> texts;
  std::vector<bool> numbers;
  for (const Row& row : rows) {
    texts.resize(std::max(texts.size(), row.size()));
    numbers.resize(texts.size());
    for (size_t i = 0; i < row.size(); ++i) {
      const CellKind kind = KindOfCell(row[i], decimal);
      if (kind == CellKind::kText) texts[i] = true;
      if (kind == CellKind::kNumber) numbers[i] = true;
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = texts[i] && !numbers[i];
  return texts;
}

}  // namespace

bool ParseNumber(absl::string_view cell, char decimal, double& value) {
  std::string with_point;
  if (decimal != '.') {
    if (absl::StrContains(cell, '.')) return false;
    with_point = std::string(cell);
    std::replace(with_point.begin(), with_point.end(), decimal, '.');
    cell = with_point;
  }
  if (!cell.empty() && cell[0] == '+') cell.remove_prefix(1);
  const char* end = cell.data() + cell.size();
  const auto [stop, error] = std::from_chars(cell.data(), end, value);
  if (error == std::errc::result_out_of_range) value = INFINITY;
  return error != std::errc::invalid_argument && stop == end;
}

std::vector<std::string> SplitCells(absl::string_view line, char separator) {
  std::vector<std::string> cells;
  std::string scratch;
  for (bool more = true; more;) {
    absl::string_view cell;
    more = NextCell(line, separator, cell, scratch);
    cells.emplace_back(cell);
  }
  return cells;
}

CellKind KindOfCell(absl::string_view cell, char decimal) {
  double value;
  if (ParseNumber(cell, decimal, value)) {
    return std::isfinite(value) ? CellKind::kNumber : CellKind::kMissing;
  }
  for (const absl::string_view missing : {"", "na", "n/a", "null", "none", "?"}) {
    if (absl::EqualsIgnoreCase(cell, missing)) return CellKind::kMissing;
  }
  return CellKind::kText;
}

Dialect FindDialect(absl::string_view text) {
  const std::vector<absl::string_view> lines = SampleLines(text, kSampledRows + 1, '\0');
  Dialect dialect;
  if (lines.empty()) return dialect;
  std::vector<Row> cells;
  for (const char separator : {'\t', ';', ',', '|', ' '}) {
    cells = Split(lines, separator);
    if (!Divides(cells)) continue;
    dialect.separator = separator;
    break;
  }
  if (!Divides(cells)) cells = Split(lines, dialect.separator);
  const absl::Span<const Row> rows = absl::MakeConstSpan(cells).subspan(1);
  if (dialect.separator != ',') dialect.decimal = DecimalOf(cells);
  dialect.header = IsHeader(cells[0], rows, text, dialect);
  dialect.columns = ColumnNames(cells[0], rows, dialect);
  dialect.text_columns = TextColumns(rows, dialect.decimal);
  return dialect;
}

std::vector<bool> FindTextColumns(absl::string_view text, char separator, char decimal,
                                  char comment) {
  return TextColumns(Split(SampleLines(text, kSampledRows, comment), separator), decimal);
}

}  // namespace mase
