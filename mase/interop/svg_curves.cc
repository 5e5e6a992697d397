#include "mase/interop/svg_curves.h"

#include <algorithm>
#include <array>
#include <cmath>

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

bool IsFinite(const std::pair<double, double>& point) {
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

Axis MakeAxis(double low, double high, double low_pixel, double high_pixel) {
  if (low > high) low = 0, high = 1;  // No points.
  if (low == high) low -= 0.5, high += 0.5;
  const double rough = (high - low) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double digit = rough / power;
  const double step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  return {low, high, low_pixel, high_pixel, step};
}

void AppendTicks(const Axis& x, const Axis& y, std::string* svg) {
  for (double t = x.FirstTick(); t <= x.high + 1e-9 * x.step; t += x.step) {
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

void AppendLine(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                std::string* svg) {
  absl::StrAppend(svg, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"", colour,
                  "\" points=\"");
  for (const auto& point : curve.points) {
    if (!IsFinite(point)) continue;
    absl::StrAppendFormat(svg, "%.2f,%.2f ", x.Pixel(point.first), y.Pixel(point.second));
  }
  absl::StrAppend(svg, "\"/>\n");
}

void AppendDots(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                std::string* svg) {
  for (const auto& point : curve.points) {
    if (!IsFinite(point)) continue;
    absl::StrAppendFormat(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
                          x.Pixel(point.first), y.Pixel(point.second), colour);
  }
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
double LegendTop(absl::Span<const Curve> curves, const Axis& x, const Axis& y) {
  int above = 0, below = 0;
  for (const Curve& curve : curves) {
    for (const auto& point : curve.points) {
      if (!IsFinite(point) || x.Pixel(point.first) < 0.6 * kWidth) continue;
      ++(y.Pixel(point.second) < kHeight / 2 ? above : below);
    }
  }
  const double height = 16.0 * static_cast<double>(curves.size());
  return above > below ? kHeight - kBottom - height - 8 : kTop + 16;
}

}  // namespace

std::string CurvesAsSvg(absl::string_view title, absl::string_view x_label,
                        absl::Span<const Curve> curves) {
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  for (const Curve& curve : curves) {
    for (const auto& point : curve.points) {
      if (!IsFinite(point)) continue;
      x_low = std::min(x_low, point.first), x_high = std::max(x_high, point.first);
      y_low = std::min(y_low, point.second), y_high = std::max(y_high, point.second);
    }
  }
  const Axis x = MakeAxis(x_low, x_high, kLeft, kWidth - kRight);
  const Axis y = MakeAxis(y_low, y_high, kHeight - kBottom, kTop);

  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  absl::StrAppendFormat(
      &svg, "<text x=\"%g\" y=\"22\" font-size=\"15\" text-anchor=\"middle\">%s</text>\n",
      kWidth / 2, Escape(title));
  absl::StrAppendFormat(&svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n",
                        kWidth / 2, kHeight - 10, Escape(x_label));
  AppendTicks(x, y, &svg);
  absl::StrAppendFormat(&svg, "<path d=\"M%g %gV%gH%g\" fill=\"none\" stroke=\"black\"/>\n", kLeft,
                        kTop, kHeight - kBottom, kWidth - kRight);
  const double legend = LegendTop(curves, x, y);
  for (size_t i = 0; i < curves.size(); ++i) {
    const absl::string_view colour = kColours[i % kColours.size()];
    const bool dots = curves[i].look == Curve::Look::kDots;
    (dots ? AppendDots : AppendLine)(curves[i], x, y, colour, &svg);
    AppendLabels(curves[i], x, y, &svg);
    absl::StrAppendFormat(
        &svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"end\" fill=\"%s\">%s</text>\n",
        kWidth - kRight - 8, legend + 16 * static_cast<double>(i), colour, Escape(curves[i].name));
  }
  return absl::StrCat(svg, "</svg>\n");
}

}  // namespace mase
