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
    absl::StrAppendFormat(
        svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n", x.Pixel(t),
        y.low_pixel + 18, std::abs(t) < 1e-9 * x.step ? 0 : t);
  }
  for (double t = y.FirstTick(); t <= y.high + 1e-9 * y.step; t += y.step) {
    absl::StrAppendFormat(svg,
                          "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>"
                          "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                          x.low_pixel, y.Pixel(t), x.high_pixel, x.low_pixel - 6, y.Pixel(t) + 4,
                          std::abs(t) < 1e-9 * y.step ? 0 : t);
  }
}

void AppendCurve(const Curve& curve, const Axis& x, const Axis& y, absl::string_view colour,
                 std::string* svg) {
  absl::StrAppend(svg, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"", colour,
                  "\" points=\"");
  for (const auto& point : curve.points) {
    if (!IsFinite(point)) continue;
    absl::StrAppendFormat(svg, "%.2f,%.2f ", x.Pixel(point.first), y.Pixel(point.second));
  }
  absl::StrAppend(svg, "\"/>\n");
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
  for (size_t i = 0; i < curves.size(); ++i) {
    const absl::string_view colour = kColours[i % kColours.size()];
    AppendCurve(curves[i], x, y, colour, &svg);
    absl::StrAppendFormat(&svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"end\" fill=\"%s\">%s</text>\n",
                          kWidth - kRight - 8, kTop + 16 * (i + 1.0), colour,
                          Escape(curves[i].name));
  }
  return absl::StrCat(svg, "</svg>\n");
}

}  // namespace mase
