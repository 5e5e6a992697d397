// Curves as one SVG picture that any browser shows: axes, ticks, a legend, one line or one set of
// dots per series.
#ifndef MASE_INTEROP_SVG_CURVES_H_
#define MASE_INTEROP_SVG_CURVES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

struct Curve {
  std::string name;                               // For the legend.
  std::vector<std::pair<double, double>> points;  // x, y; points that are not finite are left out.
  enum class Look { kLine, kDots } look = Look::kLine;
  std::vector<std::string> labels;  // Text beside the points: one for each, or none at all.
};

// The picture's text; the legend stands in the corner on the right with fewer points. The same
// curves give the same bytes.
std::string CurvesAsSvg(absl::string_view title, absl::string_view x_label,
                        absl::Span<const Curve> curves);

}  // namespace mase

#endif  // MASE_INTEROP_SVG_CURVES_H_
