// A net as boxes and arrows, for pictures (interop/diagram.h).
#ifndef MASE_QUANTIZE_NET_PICTURE_H_
#define MASE_QUANTIZE_NET_PICTURE_H_

#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/diagram.h"

namespace mase {

// A box for every node: its name, its type ("LinearInteger") and the shape of its result. Boxes of
// equal formats have one colour, which the legend explains; float ones are white. Arrows are
// values.
Diagram NetDiagram(const Graph& graph, const InferredShapes& shapes);

}  // namespace mase

#endif  // MASE_QUANTIZE_NET_PICTURE_H_
