#include "mase/interop/svg_heat_map.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

HeatMapPicture Sample() {
  return {.title = "a < b",
          .x_label = "rate",
          .y_label = "batch",
          .columns = {"1e-3", "1e-4"},
          .rows = {"64", "a very long name of a row"},
          .values = {{0.5, 0.75}, {NAN, 1}}};
}

TEST(SvgHeatMapTest, EveryCellHasItsNumberAndColour) {
  const std::string svg = HeatMapAsSvg(Sample());
  for (const char* text : {"a &lt; b", ">rate<", ">batch<", ">1e-3<", ">64<", ">0.5<", ">0.75<",
                           ">1<", ">-<", "a very long nam...", "#00224e", "#fee838"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(HeatMapAsSvg(Sample()), svg);
}

TEST(SvgHeatMapTest, NothingAndOneValueArePicturesToo) {
  HeatMapPicture picture = Sample();
  picture.values = {{NAN, NAN}, {NAN, INFINITY}};
  EXPECT_THAT(HeatMapAsSvg(picture), Not(HasSubstr("inf")));
  picture.values = {{2, 2}, {2, 2}};
  EXPECT_THAT(HeatMapAsSvg(picture), HasSubstr("#7c7b78"));
}

}  // namespace
}  // namespace mase
