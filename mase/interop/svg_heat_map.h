// A heat map as an SVG picture that any browser shows: a coloured cell with its number for each row
// and column, and a scale.
//
//   HeatMapAsSvg({.title = "accuracy", .x_label = "learning_rate", .y_label = "batch_size",
//                 .columns = {"1e-3", "1e-4"}, .rows = {"64", "256"},
//                 .values = {{0.71, 0.66}, {0.70, 0.61}}});
#ifndef MASE_INTEROP_SVG_HEAT_MAP_H_
#define MASE_INTEROP_SVG_HEAT_MAP_H_

#include <string>
#include <vector>

namespace mase {

struct HeatMapPicture {
  std::string title, x_label, y_label;
  std::vector<std::string> columns, rows;   // Their texts; long ones are cut.
  std::vector<std::vector<double>> values;  // [rows][columns]; what is not finite is a gap.
};

// The picture's text, the same bytes for the same picture.
std::string HeatMapAsSvg(const HeatMapPicture& picture);

}  // namespace mase

#endif  // MASE_INTEROP_SVG_HEAT_MAP_H_
