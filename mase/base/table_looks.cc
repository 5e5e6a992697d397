// The looks of Python's tabulate.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/table.h"
#include "mase/base/table_text.h"

namespace mase {
namespace {

using table_text::CellText;
using table_text::CharacterCount;
using table_text::Commas;
using table_text::Padded;

// What tabulate leaves free beside a header, in all looks but "pretty".
constexpr int kTabulateSpace = 2;

struct Look {
  const char* before;  // Of a line of cells.
  const char* between;
  const char* after;
  char header_rule;          // Fill of the rule below the header; 0: none.
  bool frame = false;        // A rule above and below the table.
  bool rule_rows = false;    // A rule between rows.
  const char* corner = "+";  // Left and right end of the rule below the header.
  int header_space = 0;      // Columns are at least this much wider than their header.
};

using Lines = std::vector<std::string>;  // Of one cell.

Lines LinesOf(const std::string& text) { return absl::StrSplit(text, '\n'); }

// "+-----+---+" for the widths of the columns; `margin` more on both sides of each.
std::string Rule(const std::vector<int>& widths, absl::string_view left, char fill,
                 absl::string_view between, absl::string_view right, int margin = 1) {
  std::string rule(left);
  for (size_t i = 0; i < widths.size(); ++i) {
    absl::StrAppend(&rule, i == 0 ? "" : between, std::string(widths[i] + 2 * margin, fill));
  }
  absl::StrAppend(&rule, right, "\n");
  return rule;
}

std::string RenderRow(const std::vector<Lines>& row, const std::vector<int>& widths,
                      const std::vector<Align>& aligns, const Look& look) {
  size_t height = 1;
  for (const Lines& lines : row) height = std::max(height, lines.size());
  std::string text;
  for (size_t line = 0; line < height; ++line) {
    std::string rendered = look.before;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&rendered, i == 0 ? "" : look.between,
                      Padded(line < row[i].size() ? row[i][line] : "", widths[i], aligns[i]));
    }
    rendered += look.after;
    absl::StripTrailingAsciiWhitespace(&rendered);
    absl::StrAppend(&text, rendered, "\n");
  }
  return text;
}

std::string Render(const Table& table, const Look& look) {
  std::vector<Lines> header;
  for (const Column& column : table.columns()) {
    header.push_back(LinesOf(table_text::Heading(column)));
  }
  std::vector<std::vector<Lines>> rows;
  for (const std::vector<Cell>& row : table.rows()) {
    std::vector<Lines>& lines = rows.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      lines.push_back(LinesOf(CellText(row[i], table.columns()[i], Commas::kNo)));
    }
  }

  std::vector<int> widths(header.size(), 0);
  const auto widen = [&widths](const std::vector<Lines>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      for (const std::string& line : row[i]) {
        widths[i] = std::max(widths[i], CharacterCount(line));
      }
    }
  };
  widen(header);
  for (int& width : widths) width += look.header_space;
  for (const std::vector<Lines>& row : rows) widen(row);

  const std::vector<Align> aligns = table_text::ResolvedAligns(table);
  const std::string frame = Rule(widths, "+", '-', "+", "+");
  std::string text;
  if (look.frame) text += frame;
  text += RenderRow(header, widths, aligns, look);
  const bool open = *look.before == '\0';  // Columns are told apart by space alone.
  if (look.header_rule != 0) {
    text += Rule(widths, look.corner, look.header_rule, open ? look.between : "+", look.corner,
                 open ? 0 : 1);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (look.rule_rows && i > 0) text += frame;
    text += RenderRow(rows[i], widths, aligns, look);
  }
  if (look.frame && !(rows.empty() && look.rule_rows)) text += frame;
  return text;
}

}  // namespace

std::string Table::Boxed() const {
  return Render(
      *this, {.before = "| ", .between = " | ", .after = " |", .header_rule = '-', .frame = true});
}

std::string Table::Org() const {
  return Render(*this, {.before = "| ",
                        .between = " | ",
                        .after = " |",
                        .header_rule = '-',
                        .corner = "|",
                        .header_space = kTabulateSpace});
}

std::string Table::Simple() const {
  return Render(*this, {.before = "",
                        .between = "  ",
                        .after = "",
                        .header_rule = '-',
                        .corner = "",
                        .header_space = kTabulateSpace});
}

std::string Table::Grid() const {
  return Render(*this, {.before = "| ",
                        .between = " | ",
                        .after = " |",
                        .header_rule = '=',
                        .frame = true,
                        .rule_rows = true,
                        .header_space = kTabulateSpace});
}

std::string Table::Plain() const {
  return Render(*this, {.before = "", .between = "  ", .after = "", .header_rule = 0});
}

}  // namespace mase
