#include "mase/base/table.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"

namespace mase {
namespace {

constexpr char kGrey[] = "\033[38;5;8m";
constexpr char kReset[] = "\033[0m";

bool StartsCharacter(char byte) { return (byte & 0xc0) != 0x80; }

int CharacterCount(absl::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), StartsCharacter));
}

// Bytes of the first `count` characters.
size_t PrefixBytes(absl::string_view text, int count) {
  size_t bytes = 0;
  while (bytes < text.size() && (count > 0 || !StartsCharacter(text[bytes]))) {
    if (StartsCharacter(text[bytes])) --count;
    ++bytes;
  }
  while (bytes < text.size() && !StartsCharacter(text[bytes])) ++bytes;
  return bytes;
}

void AppendWrapped(absl::string_view line, int width, std::vector<std::string>& lines) {
  while (CharacterCount(line) > width) {
    const size_t whole = PrefixBytes(line, width);
    // A space right behind the last character that fits is a good place too.
    const size_t space = line.substr(0, whole + 1).rfind(' ');
    const bool at_space = space != absl::string_view::npos && space > 0;
    lines.emplace_back(line.substr(0, at_space ? space : whole));
    line.remove_prefix(at_space ? space + 1 : whole);
  }
  lines.emplace_back(line);
}

bool IsNumber(absl::string_view text) {
  double unused;
  return absl::SimpleAtod(text, &unused);
}

std::string Padded(absl::string_view text, int width, Table::Align align) {
  const int space = width - CharacterCount(text);
  int left = 0;
  if (align == Table::Align::kRight) left = space;
  if (align == Table::Align::kCenter) left = space / 2;
  return absl::StrCat(std::string(left, ' '), text, std::string(space - left, ' '));
}

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

std::string CsvCell(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

struct Table::Look {
  const char* before;  // Of a line of cells.
  const char* between;
  const char* after;
  char header_rule;          // Fill of the rule below the header; 0: none.
  bool frame = false;        // A rule above and below the table.
  bool rule_rows = false;    // A rule between rows.
  const char* corner = "+";  // Left and right end of the rule below the header.
  int header_space = 0;      // Columns are at least this much wider than their header.
};

// What tabulate leaves free beside a header, in all looks but "pretty".
constexpr int kTabulateSpace = 2;

Table::Table(std::vector<std::string> header) : aligns_(header.size(), Align::kAuto) {
  for (std::string& text : header) header_.push_back({std::move(text)});
}

void Table::AddRow(std::vector<std::string> cells) {
  CHECK_EQ(cells.size(), header_.size()) << "cells of a row against the header";
  Row& row = rows_.emplace_back();
  for (std::string& text : cells) row.push_back({std::move(text)});
}

void Table::SetAlign(int column, Align align) { aligns_.at(column) = align; }

void Table::Dim(int row, int column) { rows_.at(row).at(column).dim = true; }

std::string Table::Boxed() const {
  return Render(
      {.before = "| ", .between = " | ", .after = " |", .header_rule = '-', .frame = true});
}

std::string Table::Org() const {
  return Render({.before = "| ",
                 .between = " | ",
                 .after = " |",
                 .header_rule = '-',
                 .corner = "|",
                 .header_space = kTabulateSpace});
}

std::string Table::Simple() const {
  return Render({.before = "",
                 .between = "  ",
                 .after = "",
                 .header_rule = '-',
                 .corner = "",
                 .header_space = kTabulateSpace});
}

std::string Table::Grid() const {
  return Render({.before = "| ",
                 .between = " | ",
                 .after = " |",
                 .header_rule = '=',
                 .frame = true,
                 .rule_rows = true,
                 .header_space = kTabulateSpace});
}

std::string Table::Plain() const {
  return Render({.before = "", .between = "  ", .after = "", .header_rule = 0});
}

std::string Table::Csv() const {
  std::string csv;
  const auto append = [&csv](const Row& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&csv, i == 0 ? "" : ",", CsvCell(row[i].text));
    }
    csv += '\n';
  };
  append(header_);
  for (const Row& row : rows_) append(row);
  return csv;
}

std::string Table::Render(const Look& look) const {
  const std::vector<int> widths = Widths(look.header_space);
  const std::vector<Align> aligns = ResolvedAligns();
  const std::string frame = Rule(widths, "+", '-', "+", "+");
  std::string text;
  if (look.frame) text += frame;
  text += RenderRow(header_, widths, aligns, look);
  const bool open = *look.before == '\0';  // Columns are told apart by space alone.
  if (look.header_rule != 0) {
    text += Rule(widths, look.corner, look.header_rule, open ? look.between : "+", look.corner,
                 open ? 0 : 1);
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (look.rule_rows && i > 0) text += frame;
    text += RenderRow(rows_[i], widths, aligns, look);
  }
  if (look.frame && !(rows_.empty() && look.rule_rows)) text += frame;
  return text;
}

std::string Table::RenderRow(const Row& row, const std::vector<int>& widths,
                             const std::vector<Align>& aligns, const Look& look) const {
  std::vector<std::vector<std::string>> cells;
  size_t height = 1;
  for (const Cell& cell : row) height = std::max(height, cells.emplace_back(Lines(cell)).size());
  std::string text;
  for (size_t line = 0; line < height; ++line) {
    std::string rendered = look.before;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padded =
          Padded(line < cells[i].size() ? cells[i][line] : "", widths[i], aligns[i]);
      const bool grey = use_color_ && row[i].dim;
      absl::StrAppend(&rendered, i == 0 ? "" : look.between, grey ? kGrey : "", padded,
                      grey ? kReset : "");
    }
    rendered += look.after;
    absl::StripTrailingAsciiWhitespace(&rendered);
    absl::StrAppend(&text, rendered, "\n");
  }
  return text;
}

std::vector<std::string> Table::Lines(const Cell& cell) const {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(cell.text, '\n')) {
    if (max_cell_width_ > 0) {
      AppendWrapped(line, max_cell_width_, lines);
    } else {
      lines.emplace_back(line);
    }
  }
  return lines;
}

std::vector<int> Table::Widths(int header_space) const {
  std::vector<int> widths(header_.size(), 0);
  const auto widen = [&](const Row& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      for (const std::string& line : Lines(row[i])) {
        widths[i] = std::max(widths[i], CharacterCount(line));
      }
    }
  };
  widen(header_);
  for (int& width : widths) width += header_space;
  for (const Row& row : rows_) widen(row);
  return widths;
}

std::vector<Table::Align> Table::ResolvedAligns() const {
  std::vector<Align> aligns = aligns_;
  for (size_t i = 0; i < aligns.size(); ++i) {
    if (aligns[i] != Align::kAuto) continue;
    bool any = false;
    const bool numbers = std::all_of(rows_.begin(), rows_.end(), [&](const Row& row) {
      any |= !row[i].text.empty();
      return row[i].text.empty() || IsNumber(row[i].text);
    });
    aligns[i] = numbers && any ? Align::kRight : Align::kLeft;
  }
  return aligns;
}

}  // namespace mase
