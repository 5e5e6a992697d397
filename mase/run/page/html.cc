#include "mase/run/page/html.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "mase/base/table_text.h"

namespace mase {

std::string EscapeHtml(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string TableHtml(const Table& table) {
  if (table.num_rows() == 0) return "";
  const std::vector<Align> aligns = table_text::ResolvedAligns(table);
  const auto number = [&](size_t i) { return aligns[i] == Align::kRight ? " class=\"n\"" : ""; };
  // Who moves by the keyboard can scroll what is wider than the window.
  std::string html =
      absl::StrCat("<div><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"",
                   EscapeHtml(table.title().empty() ? table.name() : table.title()),
                   "\"><table class=\"data\">");
  if (!table.title().empty()) {
    absl::StrAppend(&html, "<caption>", EscapeHtml(table.title()), "</caption>");
  }
  absl::StrAppend(&html, "\n<thead><tr>");
  for (size_t i = 0; i < table.columns().size(); ++i) {
    absl::StrAppend(&html, "<th scope=\"col\"", number(i), ">",
                    EscapeHtml(table_text::Heading(table.columns()[i])), "</th>");
  }
  absl::StrAppend(&html, "</tr></thead>\n<tbody>\n");
  for (const std::vector<Cell>& row : table.rows()) {
    absl::StrAppend(&html, "<tr>");
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&html, "<td", number(i), ">",
                      EscapeHtml(table_text::CellText(row[i], table.columns()[i],
                                                      table_text::Commas::kFrom10000)),
                      "</td>");
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  return absl::StrCat(html, "</tbody></table></div></div>\n");
}

}  // namespace mase
