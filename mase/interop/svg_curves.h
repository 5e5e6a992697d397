// Curves as one SVG picture that any browser shows: axes, ticks, a legend, one line per series.
#ifndef MASE_INTEROP_SVG_CURVES_H_
#define MASE_INTEROP_SVG_CURVES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace mase {

struct Curve {
  std::string name;                                // For the legend.
  std::vector<std::pair<double, double>> points;  // x, y; points that are not finite are left out.
};

// The picture's text. The same curves give the same bytes.
std::string CurvesAsSvg(absl::string_view title, absl::string_view x_label,
                        absl::Span<const Curve> curves);

}  // namespace mase

#endif  // MASE_INTEROP_SVG_CURVES_H_
