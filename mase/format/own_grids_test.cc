#include "mase/format/own_grids.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/format.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

FormatProto Proto(const std::string& text) { return ValueOrDie(Format::FromText(text))->proto(); }

std::vector<float> RoundedTo(const FormatProto& proto, const std::vector<float>& widths,
                             const std::vector<float>& values) {
  std::vector<float> rounded(values.size());
  EXPECT_OK(RoundToOwnGrids(proto, widths, values, absl::MakeSpan(rounded)));
  return rounded;
}

TEST(OwnGridsTest, RoundsEachWeightToItsOwnBits) {
  const FormatProto proto = Proto("integer { width: 8 frac_width: 6 learned_width: 'weight' }");
  EXPECT_EQ(OwnGridsShape(proto, {2, 3}), Shape({2, 3}));
  // Two bits in front of the point, one of them the sign. 1.4 bits behind it are 1.
  EXPECT_THAT(RoundedTo(proto, {6, 3, 1.4, 0, -1, -1}, {0.3, 0.3, 0.3, 0.6, 1.9, -1.9}),
              ElementsAre(0.296875f, 0.25f, 0.5f, 1.f, 0.f, 0.f));
  // Both ends; ties to even.
  EXPECT_THAT(RoundedTo(proto, {6, 2, 6, 2, 2, 0}, {9, 9, -9, -9, 0.375, -0.4}),
              ElementsAre(1.984375f, 1.75f, -2.f, -2.f, 0.5f, 0.f));
  EXPECT_FALSE(std::signbit(RoundedTo(proto, {0}, {-0.4f})[0]));
  // Beyond the range is its end.
  EXPECT_THAT(RoundedTo(proto, {30, -30}, {0.3, 0.3}), ElementsAre(0.296875f, 0.f));
}

TEST(OwnGridsTest, AChannelIsAnIndexOfTheFirstAxis) {
  const FormatProto proto = Proto("integer { width: 8 frac_width: 6 learned_width: 'channel' }");
  EXPECT_EQ(OwnGridsShape(proto, {2, 3, 5}), Shape({2}));
  EXPECT_EQ(OwnGridsShape(proto, {}), Shape({1}));
  EXPECT_THAT(RoundedTo(proto, {1, 2}, {0.3, 0.6, 0.9, 0.3, 0.6, 0.9}),
              ElementsAre(0.5f, 0.5f, 1.f, 0.25f, 0.5f, 1.f));
}

// What all rests on: rounding once more, to the one grid of the tensor, changes no bit.
TEST(OwnGridsTest, TheCoveringGridHasAllThatWasRounded) {
  std::mt19937 draw(1);
  std::normal_distribution<float> normal(0, 0.7f);
  std::uniform_real_distribution<float> behind(-3, 7);
  for (const char* text : {"integer { width: 8 frac_width: 6 learned_width: 'weight' }",
                           "integer { width: 6 frac_width: 7 learned_width: 'weight' }",
                           "integer { width: 5 frac_width: 3 is_signed: false "
                           "learned_width: 'weight' }"}) {
    for (int tensor = 0; tensor < 50; ++tensor) {
      FormatProto proto = Proto(text);
      const int most = proto.integer().width();
      std::vector<float> values(37), widths(37);
      for (float& value : values) value = normal(draw) / static_cast<float>(1 + tensor % 5);
      for (float& width : widths) width = behind(draw) - static_cast<float>(tensor % 7);
      const std::vector<float> rounded = RoundedTo(proto, widths, values);
      SetCoveringGrid(rounded, proto);
      EXPECT_LE(proto.integer().width(), most);
      EXPECT_EQ(proto.integer().most_width(), most);
      std::vector<float> again(37);
      const auto quantize = [&](const FormatProto& format) {
        EXPECT_OK(ValueOrDie(Format::Create(format))->Quantize(rounded.data(), again.data(), {37}));
        int different = 0;
        for (int i = 0; i < 37; ++i) {
          different += std::bit_cast<uint32_t>(rounded[i]) != std::bit_cast<uint32_t>(again[i]);
        }
        return different;
      };
      EXPECT_EQ(quantize(proto), 0) << proto.ShortDebugString();
      // One bit less would not do, but where there are no less.
      if (proto.integer().width() == (proto.integer().is_signed() ? 2 : 1)) continue;
      proto.mutable_integer()->set_width(proto.integer().width() - 1);
      proto.mutable_integer()->set_frac_width(proto.integer().frac_width() - 1);
      EXPECT_GT(quantize(proto), 0) << proto.ShortDebugString();
    }
  }
}

TEST(OwnGridsTest, GradientIsThatOfTheTensorsWidth) {
  const std::vector<float> x = {0.3, -0.4, 9, 0.1, -9, 0.45}, diff = {1, 2, 3, 4, 5, 6};
  const FormatProto tensor = Proto("integer { width: 5 frac_width: 3 learned_width: 'tensor' }");
  const FormatProto channel = Proto("integer { width: 8 frac_width: 6 learned_width: 'channel' }");
  const FormatProto weight = Proto("integer { width: 8 frac_width: 6 learned_width: 'weight' }");
  std::vector<float> by_src(6), by_width(1);
  OwnGridsGradient(channel, {3.2f}, x, diff.data(), by_src.data(), absl::MakeSpan(by_width));
  EXPECT_EQ(by_width[0], FracWidthGradient(tensor, x, diff));
  EXPECT_EQ(by_src, diff);  // Straight through.
  std::vector<float> by_widths(6);
  OwnGridsGradient(weight, std::vector<float>(6, 3.2f), x, diff.data(), nullptr,
                   absl::MakeSpan(by_widths));
  float sum = 0;
  for (const float gradient : by_widths) sum += gradient;
  EXPECT_FLOAT_EQ(sum, by_width[0]);
  // Of what is pruned the error is the value.
  OwnGridsGradient(weight, std::vector<float>(6, -1.f), x, diff.data(), nullptr,
                   absl::MakeSpan(by_widths));
  EXPECT_FLOAT_EQ(by_widths[1], static_cast<float>(-0.8 * M_LN2));

  FormatProto clamp = weight;
  clamp.set_gradient(FormatProto::CLAMP_AWARE);
  OwnGridsGradient(clamp, std::vector<float>(6, 3.2f), x, diff.data(), by_src.data(),
                   absl::MakeSpan(by_widths));
  EXPECT_THAT(by_src, ElementsAre(1, 2, 0, 4, 0, 6));
}

TEST(OwnGridsTest, RefusesAWidthThatIsNoNumber) {
  const FormatProto proto = Proto("integer { width: 8 learned_width: 'channel' }");
  std::vector<float> x = {1};
  EXPECT_THAT(RoundToOwnGrids(proto, {NAN}, x, absl::MakeSpan(x)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no finite number")));
}

}  // namespace
}  // namespace mase
