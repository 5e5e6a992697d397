// Boxes and arrows as one SVG picture that any browser shows, laid out by Graphviz.
//
//   Diagram diagram = {.title = "jsc-tiny"};
//   diagram.boxes = {{{"x", "[8, 16]"}}, {{"seq_blocks_0", "BatchNorm1d"}, "#dbe9f6"}};
//   diagram.arrows = {{0, 1}};
//   MASE_ASSIGN_OR_RETURN(const std::string svg, DiagramAsSvg(diagram));
//
// Of Graphviz only its layered layout and its SVG writer are used, and its own tables of letters'
// widths, so that the same diagram gives the same bytes whatever fonts a machine has.
#ifndef MASE_INTEROP_DIAGRAM_H_
#define MASE_INTEROP_DIAGRAM_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

struct Diagram {
  struct Box {
    std::vector<std::string> lines;  // Of text, UTF-8; the first one stands out.
    std::string color = "#ffffff";   // "#rrggbb", of its inside.
  };
  struct Arrow {
    int from = 0, to = 0;  // Boxes.
    std::string label;
  };

  std::string title;
  std::vector<Box> boxes;
  std::vector<Arrow> arrows;
  std::vector<std::pair<std::string, std::string>> legend;  // Text and colour. Often none.
};

// The most boxes of a diagram.
inline constexpr size_t kMaxDiagramBoxes = 2000;

// Colours that are easily told apart and carry black text, "#rrggbb": twelve, which then repeat.
std::string DiagramColor(int index);

// The picture's text; arrows run downwards. ResourceExhausted for more than
// kMaxDiagramBoxes boxes, which nobody could read and which would take minutes. Internal
// with Graphviz's own message where it fails.
absl::StatusOr<std::string> DiagramAsSvg(const Diagram& diagram);

}  // namespace mase

#endif  // MASE_INTEROP_DIAGRAM_H_
