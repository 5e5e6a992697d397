#include "mase/interop/svg_curves.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace mase {
namespace {

constexpr double kWidth = 640, kHeight = 400;
constexpr double kLeft = 70, kRight = 20, kTop = 40, kBottom = 50;

// Told apart also by colour-blind readers (Okabe and Ito).
constexpr std::array<absl::string_view, 6> kColours = {"#0072B2", "#D55E00", "#009E73",
                                                       "#CC79A7", "#E69F00", "#56B4E9"};

std::string Escape(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

using Point = std::pair<double, double>;

bool IsFinite(const Point& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

// The part of one axis that is shown, and where it lies in the picture.
struct Axis {
  double low = 0, high = 1;
  double low_pixel = 0, high_pixel = 0;
  double step = 1;  // Between ticks: 1, 2 or 5 times a power of ten.

  double Pixel(double value) const {
    return low_pixel + (value - low) / (high - low) * (high_pixel - low_pixel);
  }
  double FirstTick() const { return std::ceil(low / step - 1e-9) * step; }
};

Axis MakeAxis(double low, double high, double low_pixel, double high_pixel, bool whole) {
  if (low > high) low = 0, high = 1;  // No points.
  // Ticks must differ in more than the last bits, or the step from one to the next is none.
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= 1e-9 * size || low == high) {
    const double half = std::max(0.5, 1e-3 * size);
    low -= half, high += half;
  }
  const double rough = (high - low) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double digit = rough / power;
  const double step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  return {low, high, low_pixel, high_pixel, whole ? std::max(step, 1.0) : step};
}

void AppendTicks(const Picture& picture, const Axis& x, const Axis& y, std::string* svg) {
  for (size_t i = 0; i < picture.x_names.size(); ++i) {
    absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                          x.Pixel(static_cast<double>(i)), y.low_pixel + 18,
                          Escape(picture.x_names[i]));
  }
  for (double t = x.FirstTick(); picture.x_names.empty() && t <= x.high + 1e-9 * x.step;
       t += x.step) {
    absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n",
                          x.Pixel(t), y.low_pixel + 18, std::abs(t) < 1e-9 * x.step ? 0 : t);
  }
  for (double t = y.FirstTick(); t <= y.high + 1e-9 * y.step; t += y.step) {
    absl::StrAppendFormat(svg,
                          "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>"
                          "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                          x.low_pixel, y.Pixel(t), x.high_pixel, x.low_pixel - 6, y.Pixel(t) + 4,
                          std::abs(t) < 1e-9 * y.step ? 0 : t);
  }
}

void AppendDot(const Point& point, const Axis& x, const Axis& y, double radius,
               absl::string_view colour, std::string* svg) {
  absl::StrAppendFormat(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"%s\"/>\n",
                        x.Pixel(point.first), y.Pixel(point.second), radius, colour);
}

// Lines between neighbours, broken where a point is not finite.
void AppendLines(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                 std::string* svg) {
  const std::vector<Point>& points = curve.points;
  for (size_t begin = 0; begin < points.size();) {
    size_t end = begin;
    while (end < points.size() && IsFinite(points[end])) ++end;
    if (end - begin == 1) AppendDot(points[begin], x, y, 3, colour, svg);
    if (end - begin > 1) {
      absl::StrAppend(svg, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"", colour,
                      "\" points=\"");
      for (size_t i = begin; i < end; ++i) {
        absl::StrAppendFormat(svg, "%.2f,%.2f ", x.Pixel(points[i].first),
                              y.Pixel(points[i].second));
      }
      absl::StrAppend(svg, "\"/>\n");
    }
    begin = std::max(end, begin + 1);
  }
}

void AppendDots(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                std::string* svg) {
  for (const Point& point : curve.points) {
    if (IsFinite(point)) AppendDot(point, x, y, 4, colour, svg);
  }
}

void AppendBand(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                std::string* svg) {
  absl::StrAppend(svg, "<polygon fill-opacity=\"0.15\" fill=\"", colour, "\" points=\"");
  for (const Point& point : curve.points) {
    if (!IsFinite(point)) continue;
    absl::StrAppendFormat(svg, "%.2f,%.2f ", x.Pixel(point.first), y.Pixel(point.second));
  }
  absl::StrAppend(svg, "\"/>\n");
}

// Crosses for what has no height. Returns how many.
int AppendCrosses(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                  std::string* svg) {
  int crosses = 0;
  for (const Point& point : curve.points) {
    if (!std::isfinite(point.first) || std::isfinite(point.second)) continue;
    ++crosses;
    absl::StrAppendFormat(
        svg, "<path d=\"M%.1f %.1fl8 8m0 -8l-8 8\" stroke=\"%s\" stroke-width=\"2\"/>\n",
        x.Pixel(point.first) - 4, y.high_pixel - 4, colour);
  }
  return crosses;
}

void AppendLabels(const Curve& curve, const Axis& x, const Axis& y, std::string* svg) {
  for (size_t i = 0; i < curve.labels.size(); ++i) {
    const auto& point = curve.points[i];
    if (!IsFinite(point)) continue;
    absl::StrAppendFormat(svg, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"10\">%s</text>\n",
                          x.Pixel(point.first) + 5, y.Pixel(point.second) + 14,
                          Escape(curve.labels[i]));
  }
}

// Where the first line of the legend stands: at the top, unless more points are there.
double LegendTop(const std::vector<Curve>& curves, const Axis& x, const Axis& y) {
  int above = 0, below = 0;
  for (const Curve& curve : curves) {
    for (const Point& point : curve.points) {
      if (!IsFinite(point) || x.Pixel(point.first) < 0.6 * kWidth) continue;
      ++(y.Pixel(point.second) < kHeight / 2 ? above : below);
    }
  }
  const double height = 16.0 * static_cast<double>(absl::c_count_if(curves, [](const Curve& curve) {
                          return curve.look != Curve::Look::kBand;
                        }));
  return above > below ? kHeight - kBottom - height - 8 : kTop + 16;
}

void AppendFrame(const Picture& picture, const Axis& x, const Axis& y, std::string* svg) {
  absl::StrAppendFormat(
      svg, "<text x=\"%g\" y=\"22\" font-size=\"15\" text-anchor=\"middle\">%s</text>\n",
      kWidth / 2, Escape(picture.title));
  absl::StrAppendFormat(svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n",
                        kWidth / 2, kHeight - 10, Escape(picture.x_label));
  absl::StrAppendFormat(
      svg, "<text transform=\"translate(16 %g) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
      kHeight / 2, Escape(picture.y_label));
  AppendTicks(picture, x, y, svg);
  absl::StrAppendFormat(svg, "<path d=\"M%g %gV%gH%g\" fill=\"none\" stroke=\"black\"/>\n", kLeft,
                        kTop, kHeight - kBottom, kWidth - kRight);
}

}  // namespace

std::string CurvesAsSvg(const Picture& picture) {
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const Curve& curve : picture.curves) {
    for (const Point& point : curve.points) {
      if (!std::isfinite(point.first)) continue;
      x_low = std::min(x_low, point.first), x_high = std::max(x_high, point.first);
      if (!std::isfinite(point.second)) continue;
      y_low = std::min(y_low, point.second), y_high = std::max(y_high, point.second);
    }
  }
  if (!picture.x_names.empty()) {
    x_low = 0;
    x_high = static_cast<double>(picture.x_names.size() - 1);
  }
  const Axis x = MakeAxis(x_low, x_high, kLeft, kWidth - kRight, picture.whole_x);
  const Axis y = MakeAxis(y_low, y_high, kHeight - kBottom, kTop, /*whole=*/false);

  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  AppendFrame(picture, x, y, &svg);
  double legend = LegendTop(picture.curves, x, y);
  size_t colours = 0;
  for (const Curve& curve : picture.curves) {
    if (curve.look == Curve::Look::kBand) {
      AppendBand(curve, x, y, kColours[(colours + kColours.size() - 1) % kColours.size()], &svg);
      continue;
    }
    const absl::string_view colour = kColours[colours++ % kColours.size()];
    (curve.look == Curve::Look::kDots ? AppendDots : AppendLines)(curve, x, y, colour, &svg);
    AppendLabels(curve, x, y, &svg);
    const int crosses = AppendCrosses(curve, x, y, colour, &svg);
    absl::StrAppendFormat(&svg,
                          "<text x=\"%g\" y=\"%g\" text-anchor=\"end\" fill=\"%s\">%s%s</text>\n",
                          kWidth - kRight - 8, legend, colour, Escape(curve.name),
                          crosses > 0 ? " (\u00d7 not finite)" : "");
    legend += 16;
  }
  return absl::StrCat(svg, "</svg>\n");
}

}  // namespace mase
