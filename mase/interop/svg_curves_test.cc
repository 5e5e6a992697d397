#include "mase/interop/svg_curves.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A picture of one line.
Picture Line(std::vector<std::pair<double, double>> points, bool whole_x = false) {
  return {.whole_x = whole_x, .curves = {{"line", std::move(points)}}};
}

TEST(SvgCurvesTest, PointsLieBetweenTheAxesFromCornerToCorner) {
  const std::string svg = CurvesAsSvg({.title = "run 1: loss",
                                       .x_label = "epoch",
                                       .y_label = "cross-entropy",
                                       .curves = {{"train", {{0, 2}, {1, 1}, {2, 0}}}}});
  EXPECT_THAT(svg, HasSubstr("points=\"70.00,40.00 345.00,195.00 620.00,350.00 \""));
  for (const char* text :
       {">run 1: loss</text>", ">epoch</text>", ">cross-entropy</text>", ">train</text>"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
}

TEST(SvgCurvesTest, PlacesOfXMayHaveNames) {
  Picture picture = Line({{0, 1}, {2, 3}});
  picture.x_names = {"1e-4", "<1e-3", "none"};
  const std::string svg = CurvesAsSvg(picture);
  EXPECT_THAT(svg,
              AllOf(HasSubstr("<text x=\"70.0\" y=\"368.0\" text-anchor=\"middle\">1e-4<"),
                    HasSubstr("<text x=\"345.0\" y=\"368.0\" text-anchor=\"middle\">&lt;1e-3<"),
                    HasSubstr("<text x=\"620.0\" y=\"368.0\" text-anchor=\"middle\">none<"),
                    HasSubstr("points=\"70.00,350.00 620.00,40.00 \"")));
}

TEST(SvgCurvesTest, NamesAreEscaped) {
  EXPECT_THAT(CurvesAsSvg({.title = "a<b & c"}), HasSubstr(">a&lt;b &amp; c</text>"));
}

TEST(SvgCurvesTest, WhatIsNotFiniteBreaksTheLineAndIsACrossAtTheTop) {
  const std::string svg =
      CurvesAsSvg(Line({{0, 0}, {1, 1}, {2, NAN}, {3, INFINITY}, {4, 1}, {INFINITY, 1}, {5, NAN}}));
  EXPECT_THAT(svg, HasSubstr("points=\"70.00,350.00 180.00,40.00 \""));
  EXPECT_THAT(svg, HasSubstr("<circle cx=\"510.0\" cy=\"40.0\""));
  for (const char* cross : {"M286.0 36.0l8 8", "M396.0 36.0l8 8", "M616.0 36.0l8 8"}) {
    EXPECT_THAT(svg, HasSubstr(cross));
  }
  EXPECT_THAT(svg, HasSubstr(">line (\u00d7 not finite)</text>"));
  EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr(">inf"))));
}

TEST(SvgCurvesTest, DotsAndLabelsStandWhereTheirPointsAre) {
  const Curve curve = {.name = "a",
                       .points = {{0, 0}, {NAN, 1}, {2, 1}},
                       .look = Curve::Look::kDots,
                       .labels = {"first", "nowhere", "x<y"}};
  const std::string svg = CurvesAsSvg({.curves = {curve}});
  EXPECT_THAT(svg, HasSubstr("<circle cx=\"70.0\" cy=\"350.0\""));
  EXPECT_THAT(svg, HasSubstr("<circle cx=\"620.0\" cy=\"40.0\""));
  EXPECT_THAT(svg, HasSubstr("x=\"625.0\" y=\"54.0\" font-size=\"10\">x&lt;y<"));
  EXPECT_THAT(svg, Not(HasSubstr("nowhere")));
  EXPECT_THAT(svg, Not(HasSubstr("polyline")));
}

TEST(SvgCurvesTest, TheLegendStandsWhereFewerPointsAre) {
  EXPECT_THAT(CurvesAsSvg(Line({{0, 9}, {9, 0}, {10, 0}})), HasSubstr("y=\"56\""));
  EXPECT_THAT(CurvesAsSvg(Line({{0, 0}, {9, 9}, {10, 9}})), HasSubstr("y=\"326\""));
}

TEST(SvgCurvesTest, NothingAndASinglePointArePicturesToo) {
  EXPECT_THAT(CurvesAsSvg({.title = "empty"}), HasSubstr("</svg>"));
  EXPECT_THAT(CurvesAsSvg(Line({{5, 7}})), HasSubstr("<circle cx=\"345.0\" cy=\"195.0\""));
  EXPECT_THAT(CurvesAsSvg(Line({{5, NAN}})), HasSubstr("not finite"));
}

TEST(SvgCurvesTest, ValuesThatDifferInTheirLastBitsAreOneHeight) {
  for (const double value : {0.3, 1e17, 1e30}) {
    const std::string svg = CurvesAsSvg(Line({{0, value}, {1, std::nextafter(value, INFINITY)}}));
    EXPECT_THAT(svg, HasSubstr("points=\"70.00,195.00 620.00,195.00 \"")) << value;
    EXPECT_THAT(CurvesAsSvg(Line({{0, value}})), HasSubstr("cy=\"195.0\"")) << value;
  }
}

TEST(SvgCurvesTest, TicksOfWholeNumbersAreWhole) {
  const auto points = {std::pair(0.0, 0.0), std::pair(2.0, 1.0)};
  EXPECT_THAT(CurvesAsSvg(Line(points, /*whole_x=*/false)),
              HasSubstr("y=\"368.0\" text-anchor=\"middle\">0.5<"));
  const std::string whole = CurvesAsSvg(Line(points, /*whole_x=*/true));
  EXPECT_THAT(whole, Not(HasSubstr("y=\"368.0\" text-anchor=\"middle\">0.5<")));
  for (const char* tick : {">0<", ">1<", ">2<"}) {
    EXPECT_THAT(whole, HasSubstr(std::string("text-anchor=\"middle\"") + tick));
  }
  EXPECT_THAT(CurvesAsSvg(Line({{3, 1}}, /*whole_x=*/true)),
              HasSubstr("text-anchor=\"middle\">3<"));
}

}  // namespace
}  // namespace mase
