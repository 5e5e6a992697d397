#include "mase/interop/svg_heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace mase {
namespace {

constexpr double kLeft = 130, kTop = 50, kBottom = 60, kScale = 110;
constexpr double kCellHeight = 34, kNarrowest = 64, kWidestMap = 900;
constexpr size_t kLongestText = 18;

// Matplotlib's cividis, which colour-blind readers see as others do, at equal steps.
constexpr std::array<std::array<int, 3>, 5> kColours = {
    {{0, 34, 78}, {66, 78, 108}, {124, 123, 120}, {187, 174, 107}, {254, 232, 56}}};

std::string Escape(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

std::string Short(const std::string& text) {
  if (text.size() <= kLongestText) return Escape(text);
  size_t end = kLongestText - 3;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // Not within a character of UTF-8.
  return absl::StrCat(Escape(text.substr(0, end)), "...");
}

// From 0 to 1.
std::string Colour(double share) {
  const double place = std::clamp(share, 0.0, 1.0) * (kColours.size() - 1);
  const size_t below = std::min(static_cast<size_t>(place), kColours.size() - 2);
  std::array<int, 3> mixed;
  for (size_t i = 0; i < mixed.size(); ++i) {
    const double from = kColours[below][i], to = kColours[below + 1][i];
    mixed[i] =
        static_cast<int>(std::lround(from + (to - from) * (place - static_cast<double>(below))));
  }
  return absl::StrFormat("#%02x%02x%02x", mixed[0], mixed[1], mixed[2]);
}

void AppendText(double x, double y, absl::string_view anchor, absl::string_view text,
                std::string* svg, absl::string_view more = "") {
  absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", x, y,
                        anchor, more, text);
}

}  // namespace

std::string HeatMapAsSvg(const HeatMapPicture& picture) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const std::vector<double>& row : picture.values) {
    for (const double value : row) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  const bool any = low <= high;
  const auto share = [&](double value) { return high > low ? (value - low) / (high - low) : 0.5; };

  const double columns = static_cast<double>(std::max<size_t>(picture.columns.size(), 1));
  const double rows = static_cast<double>(std::max<size_t>(picture.rows.size(), 1));
  const double width = std::max(kNarrowest, std::min(120.0, kWidestMap / columns));
  const double map_width = columns * width, map_height = rows * kCellHeight;
  const double whole_width = kLeft + map_width + kScale, whole_height = kTop + map_height + kBottom;
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
      "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      whole_width, whole_height, whole_width, whole_height);
  AppendText(kLeft + map_width / 2, 24, "middle", Escape(picture.title), &svg, " font-size=\"15\"");
  AppendText(kLeft + map_width / 2, whole_height - 14, "middle", Escape(picture.x_label), &svg);
  absl::StrAppendFormat(
      &svg, "<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
      kTop + map_height / 2, Escape(picture.y_label));
  for (size_t j = 0; j < picture.columns.size(); ++j) {
    AppendText(kLeft + (static_cast<double>(j) + 0.5) * width, kTop + map_height + 18, "middle",
               Short(picture.columns[j]), &svg);
  }
  for (size_t i = 0; i < picture.rows.size(); ++i) {
    const double top = kTop + static_cast<double>(i) * kCellHeight;
    const double middle = top + kCellHeight / 2 + 4;
    AppendText(kLeft - 8, middle, "end", Short(picture.rows[i]), &svg);
    for (size_t j = 0; j < picture.columns.size(); ++j) {
      const double value = picture.values[i][j], left = kLeft + static_cast<double>(j) * width;
      const bool known = std::isfinite(value);
      absl::StrAppendFormat(&svg,
                            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                            "fill=\"%s\" stroke=\"white\"/>\n",
                            left, top, width, kCellHeight, known ? Colour(share(value)) : "#eee");
      const char* ink = known && share(value) < 0.5 ? " fill=\"white\"" : "";
      AppendText(left + width / 2, middle, "middle", known ? absl::StrFormat("%.4g", value) : "-",
                 &svg, ink);
    }
  }
  for (int i = 0; any && i < 5; ++i) {
    const double left = kLeft + map_width + 20, step = map_height / 5;
    absl::StrAppendFormat(
        &svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"%.1f\" fill=\"%s\"/>\n", left,
        kTop + step * (4 - i), step, Colour(i / 4.0));
  }
  if (any) {
    const double left = kLeft + map_width + 40;
    AppendText(left, kTop + 10, "start", absl::StrFormat("%.4g", high), &svg);
    AppendText(left, kTop + map_height, "start", absl::StrFormat("%.4g", low), &svg);
  }
  return svg + "</svg>\n";
}

}  // namespace mase
