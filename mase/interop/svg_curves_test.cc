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

TEST(SvgCurvesTest, NothingAndASinglePointArePicturesToo) {
  EXPECT_THAT(CurvesAsSvg("empty", "x", {}), HasSubstr("</svg>"));
  const std::string svg = CurvesAsSvg("one", "x", {{"c", {{5, 7}}}});
  EXPECT_THAT(svg, HasSubstr("points=\"345.00,195.00 \""));
}

}  // namespace
}  // namespace mase
