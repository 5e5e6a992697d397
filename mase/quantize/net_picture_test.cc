#include "mase/quantize/net_picture.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(NetPictureTest, FormatsHaveColorsAndNodesShapes) {
  const Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 16]
a = linear(x, in_features=16, out_features=5)
  quantized integer class Integer
  data_in = integer { width: 8 frac_width: 4 }
  weight = integer { width: 8 frac_width: 4 }
b = relu(a)
  quantized integer class Integer
  data_in = integer { width: 6 frac_width: 4 }
c = relu(b)
output = output(c)
)");
  const Diagram diagram = NetDiagram(graph, ValueOrDie(InferShapesFor(graph)));
  ASSERT_EQ(diagram.boxes.size(), 5u);
  EXPECT_THAT(diagram.boxes[0].lines, ElementsAre("x", "[8, 16]"));
  EXPECT_THAT(diagram.boxes[1].lines, ElementsAre("a", "LinearInteger", "[8, 5]"));
  EXPECT_EQ(diagram.boxes[1].color, DiagramColor(0));
  EXPECT_EQ(diagram.boxes[2].color, DiagramColor(1));
  EXPECT_EQ(diagram.boxes[3].color, "#ffffff");
  EXPECT_THAT(diagram.legend, ElementsAre(Pair("integer data_in 8/4, weight 8/4", DiagramColor(0)),
                                          Pair("integer data_in 6/4", DiagramColor(1))));
  ASSERT_EQ(diagram.arrows.size(), 4u);
  EXPECT_EQ(diagram.arrows[2].from, 2);
  EXPECT_EQ(diagram.arrows[2].to, 3);
}

}  // namespace
}  // namespace mase
