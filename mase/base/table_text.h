// How the cells of a Table read, and text in columns: what the renderings share.
#ifndef MASE_BASE_TABLE_TEXT_H_
#define MASE_BASE_TABLE_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/base/table.h"

namespace mase::table_text {

enum class Commas { kNo, kFrom10000 };

// As people see it, which may be several lines.
std::string CellText(const Cell& cell, const Column& column, Commas commas);

// "time (ms)".
std::string Heading(const Column& column);

// The shortest text that reads back as this double.
std::string ShortestText(double value);

// Where kAuto of each column leads.
std::vector<Align> ResolvedAligns(const Table& table);

int CharacterCount(absl::string_view text);
// Bytes of the first `count` characters, all bytes if there are fewer.
size_t PrefixBytes(absl::string_view text, int count);

// `text` with blanks to `width` characters.
std::string Padded(absl::string_view text, int width, Align align);

// `text` in lines of at most `columns` characters, broken at blanks where there are any; each ends
// with a line break. As the title of a table.
std::string Paragraph(absl::string_view text, int columns = Table::Room().columns);

}  // namespace mase::table_text

#endif  // MASE_BASE_TABLE_TEXT_H_
