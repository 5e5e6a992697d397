// Table::Text: a table in the room that a terminal has.
#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/quote.h"
#include "mase/base/table.h"
#include "mase/base/table_text.h"

namespace mase {
namespace {

using table_text::CellText;
using table_text::CharacterCount;
using table_text::Commas;
using table_text::Padded;
using table_text::Paragraph;
using table_text::PrefixBytes;

constexpr char kGrey[] = "\033[38;5;8m";
constexpr char kReset[] = "\033[0m";

constexpr int kBetween = 2;         // Blanks between columns.
constexpr int kNarrowestText = 16;  // Text in columns is wrapped to this width, not below.
constexpr int kLongestPiece = 24;   // Longer words are broken anywhere.
constexpr size_t kMostLines = 8;    // Of a cell; the rest is left out.

// Whether a line may end behind text[at]: not before the last letter of a word, as in "GMAC/s".
using MayEnd = bool (*)(absl::string_view text, size_t at);
bool EndsPiece(absl::string_view text, size_t at) {
  const auto blank = [text](size_t i) { return i >= text.size() || text[i] == ' '; };
  if (absl::string_view(" ._/,:=-").find(text[at]) == absl::string_view::npos) return false;
  return blank(at) || blank(at + 1) || !blank(at + 2);
}

// Characters of the longest part of `text` that has to stay in one line.
int LongestPiece(absl::string_view text) {
  int longest = 0;
  while (!text.empty()) {
    size_t end = 0;
    while (end < text.size() && !EndsPiece(text, end)) ++end;
    const bool blank = end < text.size() && text[end] == ' ';
    const size_t piece = std::min(text.size(), blank ? end : end + 1);
    longest = std::max(longest, CharacterCount(text.substr(0, piece)));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return longest;
}

bool IsBlank(absl::string_view text, size_t at) { return text[at] == ' '; }

// `text` in lines of at most `width` characters, its own line breaks kept; broken at blanks, behind
// a character that `may_end` a line, or anywhere if there is neither. No more than `most` lines.
std::vector<std::string> Wrapped(absl::string_view text, int width, MayEnd may_end,
                                 size_t most = std::numeric_limits<size_t>::max()) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    size_t whole;  // Bytes of what fits; a text of a megabyte is not counted again for each line.
    while ((whole = PrefixBytes(line, width)) < line.size()) {
      if (lines.size() == most) return lines;
      // A blank right behind the last character that fits is a good place too.
      size_t end = whole + 1;
      if (line[whole] != ' ') {
        end = whole;
        while (end > 0 && !may_end(line, end - 1)) --end;
      }
      if (end == 0 || absl::StripAsciiWhitespace(line.substr(0, end)).empty()) end = whole;
      lines.emplace_back(absl::StripTrailingAsciiWhitespace(line.substr(0, end)));
      line.remove_prefix(end);
    }
    if (lines.size() == most) return lines;
    lines.emplace_back(line);
  }
  return lines;
}

// One column as it is shown.
struct Strip {
  int column;  // Its number in the table.
  std::string heading;
  std::vector<std::string> cells;  // A text a row.
  Align align = Align::kLeft;
  int natural = 0;    // The width that it would like,
  int narrowest = 0;  // the least that is readable,
  int width = 0;      // and what it gets.
};

Strip MakeStrip(const Table& table, int column, int rows, Align align) {
  Strip strip = {.column = column,
                 .heading = Printable(table_text::Heading(table.columns()[column])),
                 .align = align};
  const auto measure = [&strip](const std::string& text, bool breaks) {
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const int width = CharacterCount(line);
      strip.natural = std::max(strip.natural, width);
      const int needs =
          breaks ? std::min(std::max(LongestPiece(line), std::min(width, kNarrowestText)),
                            kLongestPiece)
                 : width;
      strip.narrowest = std::max(strip.narrowest, needs);
    }
  };
  for (int i = 0; i < rows; ++i) {
    const Cell& cell = table.rows()[i][column];
    strip.cells.push_back(Printable(CellText(cell, table.columns()[column], Commas::kFrom10000)));
    measure(strip.cells.back(), cell.is_text());
  }
  strip.natural = std::max(strip.natural, CharacterCount(strip.heading));
  // Headings stand on several lines rather than make columns wide.
  strip.narrowest = std::max(strip.narrowest, std::min(LongestPiece(strip.heading), kLongestPiece));
  strip.width = strip.natural;
  return strip;
}

int TotalWidth(const std::vector<Strip>& strips) {
  int total = kBetween * (static_cast<int>(strips.size()) - 1);
  for (const Strip& strip : strips) total += strip.width;
  return total;
}

enum class First { kStays, kMayNarrow };

// Takes from the widest columns until all fit; from the first one, which has the names, last, if it
// may. False if they cannot.
bool Narrow(int room, First first, std::vector<Strip>& strips) {
  for (Strip& strip : strips) strip.width = strip.natural;
  for (int over = TotalWidth(strips) - room; over > 0; --over) {
    Strip* widest = nullptr;
    for (size_t i = 1; i < strips.size(); ++i) {
      if (strips[i].width <= strips[i].narrowest) continue;
      if (widest == nullptr || strips[i].width > widest->width) widest = &strips[i];
    }
    const bool first_gives = first == First::kMayNarrow && strips[0].width > strips[0].narrowest;
    if (widest == nullptr && first_gives) widest = &strips[0];
    if (widest == nullptr) return false;
    --widest->width;
  }
  return true;
}

// Fits the columns into the room; returns the headings of those that had to go, in their order.
std::vector<std::string> Fit(const Table& table, int room, std::vector<Strip>& strips) {
  std::vector<Strip> gone;
  const auto rank = [&](const Strip& strip) { return table.columns()[strip.column].rank; };
  while (!Narrow(room, First::kStays, strips)) {
    // Columns that matter less go before names are broken.
    const bool some_matter_less = std::any_of(strips.begin() + 1, strips.end(),
                                              [&](const Strip& strip) { return rank(strip) > 0; });
    if (!some_matter_less && Narrow(room, First::kMayNarrow, strips)) break;
    if (strips.size() == 1) {
      strips[0].width = std::max(room, 1);
      break;
    }
    size_t least = 1;
    for (size_t i = 1; i < strips.size(); ++i) {
      if (rank(strips[i]) >= rank(strips[least])) least = i;
    }
    gone.push_back(std::move(strips[least]));
    strips.erase(strips.begin() + static_cast<int64_t>(least));
  }
  absl::c_sort(gone, [](const Strip& a, const Strip& b) { return a.column < b.column; });
  std::vector<std::string> headings;
  for (Strip& strip : gone) headings.push_back(std::move(strip.heading));
  return headings;
}

// One row of cells, which may take several lines. `grey` tells which of them are.
std::string RowText(const std::vector<Strip>& strips, const std::vector<absl::string_view>& cells,
                    const std::vector<bool>& grey) {
  std::vector<std::vector<std::string>> wrapped;
  size_t height = 1;
  for (size_t i = 0; i < strips.size(); ++i) {
    wrapped.push_back(Wrapped(cells[i], strips[i].width, EndsPiece, kMostLines + 1));
    if (wrapped[i].size() > kMostLines) {
      wrapped[i].resize(kMostLines);
      wrapped[i].back() = std::string(std::min(strips[i].width, 3), '.');
    }
    height = std::max(height, wrapped[i].size());
  }
  std::string text;
  for (size_t line = 0; line < height; ++line) {
    std::string row;
    for (size_t i = 0; i < strips.size(); ++i) {
      const std::string padded = Padded(line < wrapped[i].size() ? wrapped[i][line] : "",
                                        strips[i].width, strips[i].align);
      absl::StrAppend(&row, i == 0 ? "" : std::string(kBetween, ' '), grey[i] ? kGrey : "", padded,
                      grey[i] ? kReset : "");
    }
    absl::StripTrailingAsciiWhitespace(&row);
    absl::StrAppend(&text, row, "\n");
  }
  return text;
}

}  // namespace

std::string table_text::Paragraph(absl::string_view text, int columns) {
  return absl::StrCat(absl::StrJoin(Wrapped(text, columns, IsBlank), "\n"), "\n");
}

std::string Table::Text(const Room& room) const {
  const int shown = room.rows > 0 ? std::min(room.rows, num_rows()) : num_rows();
  const std::vector<Align> aligns = table_text::ResolvedAligns(*this);
  std::vector<Strip> strips;
  for (size_t i = 0; i < columns_.size(); ++i) {
    strips.push_back(MakeStrip(*this, static_cast<int>(i), shown, aligns[i]));
  }
  const std::vector<std::string> gone = Fit(*this, room.columns, strips);

  std::string text = title_.empty() ? "" : Paragraph(Printable(title_), room.columns);
  std::vector<absl::string_view> cells(strips.size());
  std::vector<bool> grey(strips.size(), false);
  if (absl::c_any_of(columns_, [](const Column& column) { return !column.name.empty(); })) {
    for (size_t i = 0; i < strips.size(); ++i) cells[i] = strips[i].heading;
    text += RowText(strips, cells, grey);
    const std::string rule(static_cast<size_t>(std::max(room.columns, TotalWidth(strips))), '-');
    for (size_t i = 0; i < strips.size(); ++i) {
      cells[i] = absl::string_view(rule).substr(0, static_cast<size_t>(strips[i].width));
    }
    text += RowText(strips, cells, grey);
  }
  for (int row = 0; row < shown; ++row) {
    for (size_t i = 0; i < strips.size(); ++i) {
      cells[i] = strips[i].cells[row];
      grey[i] = room.color && absl::c_linear_search(dimmed_, std::pair(row, strips[i].column));
    }
    text += RowText(strips, cells, grey);
  }
  std::vector<std::string> missing;
  if (shown < num_rows()) missing.push_back(absl::StrCat(num_rows() - shown, " more rows"));
  if (!gone.empty())
    missing.push_back(absl::StrCat("for want of room ", absl::StrJoin(gone, ", ")));
  if (missing.empty()) return text;
  return absl::StrCat(
      text, Paragraph(absl::StrCat(
                          "Not shown: ", absl::StrJoin(missing, "; "), ". The whole table ",
                          room.whole.empty() ? "needs a wider terminal" : "is ", room.whole, "."),
                      room.columns));
}

}  // namespace mase
