// Curves as one SVG picture that any browser shows: title, axes with labels and ticks, a legend,
// one line or one set of dots per series.
//
//   CurvesAsSvg({.title = "jsc-tiny, run train-0001: loss", .x_label = "epoch", .y_label = "loss",
//                .whole_x = true, .curves = {{"training", {{0, 1.5}, {1, 1.2}}}}});
#ifndef MASE_INTEROP_SVG_CURVES_H_
#define MASE_INTEROP_SVG_CURVES_H_

#include <string>
#include <utility>
#include <vector>

namespace mase {

struct Curve {
  std::string name;                               // For the legend.
  std::vector<std::pair<double, double>> points;  // x, y.
  // A band is the area that its points go round, in the colour of the curve before it and without
  // an entry in the legend.
  enum class Look { kLine, kDots, kBand } look = Look::kLine;
  std::vector<std::string> labels;  // Text beside the points: one for each, or none at all.
};

struct Picture {
  std::string title, x_label, y_label;
  bool whole_x = false;  // Ticks of x at whole numbers only: epochs, counts.
  // If not empty, x has a tick at 0, 1, 2, ... for each of them, and these texts: for what is no
  // number, or no number of even steps.
  std::vector<std::string> x_names;
  std::vector<Curve> curves;
};

// The picture's text; the legend stands in the corner on the right with fewer points. The same
// picture gives the same bytes.
//
// A line joins neighbours; a point without any is a dot. A y that is no finite number breaks the
// line and is a cross at the top edge, above its x, and the legend says "not finite" behind that
// curve's name. Points whose x is not finite are left out.
std::string CurvesAsSvg(const Picture& picture);

}  // namespace mase

#endif  // MASE_INTEROP_SVG_CURVES_H_
