#include "mase/interop/svg_curves.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SvgCurvesTest, PointsLieBetweenTheAxesFromCornerToCorner) {
  const std::string svg = CurvesAsSvg("loss", "epoch", {{"train", {{0, 2}, {1, 1}, {2, 0}}}});
  EXPECT_THAT(svg, HasSubstr("points=\"70.00,40.00 345.00,195.00 620.00,350.00 \""));
  EXPECT_THAT(svg, HasSubstr(">train</text>"));
  EXPECT_THAT(svg, HasSubstr(">epoch</text>"));
}

TEST(SvgCurvesTest, NamesAreEscaped) {
  EXPECT_THAT(CurvesAsSvg("a<b & c", "x", {}), HasSubstr(">a&lt;b &amp; c</text>"));
}

TEST(SvgCurvesTest, PointsThatAreNotFiniteAreLeftOut) {
  const std::string svg = CurvesAsSvg("", "", {{"", {{0, 0}, {1, NAN}, {2, INFINITY}, {3, 1}}}});
  EXPECT_THAT(svg, HasSubstr("points=\"70.00,350.00 620.00,40.00 \""));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(SvgCurvesTest, DotsAndLabelsStandWhereTheirPointsAre) {
  const Curve curve = {.name = "a",
                       .points = {{0, 0}, {NAN, 1}, {2, 1}},
                       .look = Curve::Look::kDots,
                       .labels = {"first", "nowhere", "x<y"}};
  const std::string svg = CurvesAsSvg("", "", {curve});
  EXPECT_THAT(svg, HasSubstr("<circle cx=\"70.0\" cy=\"350.0\""));
  EXPECT_THAT(svg, HasSubstr("<circle cx=\"620.0\" cy=\"40.0\""));
  EXPECT_THAT(svg, HasSubstr("x=\"625.0\" y=\"54.0\" font-size=\"10\">x&lt;y<"));
  EXPECT_THAT(svg, Not(HasSubstr("nowhere")));
  EXPECT_THAT(svg, Not(HasSubstr("polyline")));
}

TEST(SvgCurvesTest, TheLegendStandsWhereFewerPointsAre) {
  EXPECT_THAT(CurvesAsSvg("", "", {{"falls", {{0, 9}, {9, 0}, {10, 0}}}}), HasSubstr("y=\"56\""));
  EXPECT_THAT(CurvesAsSvg("", "", {{"grows", {{0, 0}, {9, 9}, {10, 9}}}}), HasSubstr("y=\"326\""));
}

TEST(SvgCurvesTest, NothingAndASinglePointArePicturesToo) {
  EXPECT_THAT(CurvesAsSvg("empty", "x", {}), HasSubstr("</svg>"));
  const std::string svg = CurvesAsSvg("one", "x", {{"c", {{5, 7}}}});
  EXPECT_THAT(svg, HasSubstr("points=\"345.00,195.00 \""));
}

}  // namespace
}  // namespace mase
