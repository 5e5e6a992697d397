#include "mase/base/table_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mase::table_text {
namespace {

bool StartsCharacter(char byte) { return (byte & 0xc0) != 0x80; }

bool IsNumber(absl::string_view text) {
  double unused;
  return absl::SimpleAtod(text, &unused);
}

// Commas between the digits in front of the point, where these are five or more.
std::string WithCommas(std::string number) {
  const size_t begin = number.find_first_of("0123456789");
  if (begin == std::string::npos) return number;
  const size_t end = std::min(number.find_first_not_of("0123456789", begin), number.size());
  if (end - begin < 5) return number;
  for (size_t at = end - 3; at > begin; at -= std::min(at, size_t{3})) number.insert(at, ",");
  return number;
}

// Four significant digits, and all digits of the whole part up to a thousand million.
std::string FourDigits(double value) {
  const double size = std::abs(value);
  if (size >= 1000 && size < 1e9) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.4g", value);
}

std::string NumberText(double value, const Column& column) {
  if (!std::isfinite(value)) return ShortestText(value);
  return column.decimals < 0 ? FourDigits(value) : absl::StrFormat("%.*f", column.decimals, value);
}

}  // namespace

std::string CellText(const Cell& cell, const Column& column, Commas commas) {
  if (const auto* text = std::get_if<std::string>(&cell.value())) return *text;
  if (const auto* truth = std::get_if<bool>(&cell.value())) return *truth ? "yes" : "no";
  if (cell.empty()) return "";
  const auto* whole = std::get_if<int64_t>(&cell.value());
  std::string number =
      whole != nullptr ? absl::StrCat(*whole) : NumberText(std::get<double>(cell.value()), column);
  if (commas == Commas::kFrom10000 && number.find('e') == std::string::npos) {
    number = WithCommas(std::move(number));
  }
  if (column.signs && number[0] != '-' && number != "nan") number.insert(0, "+");
  return number;
}

std::string Heading(const Column& column) {
  return column.unit.empty() ? column.name : absl::StrCat(column.name, " (", column.unit, ")");
}

std::string ShortestText(double value) {
  if (std::isnan(value)) return "nan";
  char buffer[32];
  const std::to_chars_result result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

std::vector<Align> ResolvedAligns(const Table& table) {
  std::vector<Align> aligns;
  for (size_t i = 0; i < table.columns().size(); ++i) {
    aligns.push_back(table.columns()[i].align);
    if (aligns[i] != Align::kAuto) continue;
    bool any = false;
    const bool numbers =
        std::all_of(table.rows().begin(), table.rows().end(), [&](const std::vector<Cell>& row) {
          const auto* text = std::get_if<std::string>(&row[i].value());
          const bool empty = row[i].empty() || (text != nullptr && text->empty());
          any |= !empty;
          return empty || row[i].is_number() || (text != nullptr && IsNumber(*text));
        });
    aligns[i] = numbers && any ? Align::kRight : Align::kLeft;
  }
  return aligns;
}

int CharacterCount(absl::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), StartsCharacter));
}

size_t PrefixBytes(absl::string_view text, int count) {
  size_t bytes = 0;
  while (bytes < text.size() && (count > 0 || !StartsCharacter(text[bytes]))) {
    if (StartsCharacter(text[bytes])) --count;
    ++bytes;
  }
  return bytes;
}

std::string Padded(absl::string_view text, int width, Align align) {
  const int space = std::max(width - CharacterCount(text), 0);
  int left = 0;
  if (align == Align::kRight) left = space;
  if (align == Align::kCenter) left = space / 2;
  return absl::StrCat(std::string(left, ' '), text, std::string(space - left, ' '));
}

}  // namespace mase::table_text
