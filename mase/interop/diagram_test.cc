#include "mase/interop/diagram.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DiagramTest, BoxesArrowsAndLegendArePartsOfThePicture) {
  Diagram diagram = {.title = "jsc-tiny"};
  diagram.boxes = {{{"x"}}, {{"seq_blocks_0", "Linear"}, "#cfe3f5"}};
  diagram.arrows = {{0, 1, "[8, 16]"}};
  diagram.legend = {{"integer 8/4", "#cfe3f5"}};
  const std::string svg = ValueOrDie(DiagramAsSvg(diagram));
  EXPECT_THAT(
      svg, AllOf(HasSubstr("<svg"), HasSubstr(">seq_blocks_0</text>"), HasSubstr(">Linear</text>"),
                 HasSubstr("[8, 16]"), HasSubstr("fill=\"#cfe3f5\""), HasSubstr("integer 8/4")));
  EXPECT_EQ(ValueOrDie(DiagramAsSvg(diagram)), svg);
}

TEST(DiagramTest, TextIsTextWhateverItHolds) {
  Diagram diagram = {.title = "a <b> & \"c\""};
  diagram.boxes = {{{"back\\nslash", "<script>alert(1)</script>"}}};
  const std::string svg = ValueOrDie(DiagramAsSvg(diagram));
  EXPECT_THAT(svg, AllOf(HasSubstr("back\\nslash"), HasSubstr("&lt;script&gt;"),
                         Not(HasSubstr("<script"))));
}

TEST(DiagramTest, AnEmptyDiagramIsAPicture) {
  EXPECT_THAT(ValueOrDie(DiagramAsSvg({})), HasSubstr("</svg>"));
}

TEST(DiagramTest, MoreBoxesThanOneCanReadAreRefused) {
  Diagram diagram;
  diagram.boxes.resize(kMaxDiagramBoxes + 1);
  EXPECT_THAT(DiagramAsSvg(diagram),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("2001 boxes, limit 2000")));
}

}  // namespace
}  // namespace mase
