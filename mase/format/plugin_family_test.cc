// A family that no file of this room has, as plugins bring them.
#include <cmath>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Multiples of `step` up to `top` steps.
class Steps final : public Format {
 public:
  explicit Steps(const FormatProto& proto)
      : Format(proto), step_(proto.plugin().value(0)), top_(proto.plugin().value(1)) {}
  double BitsPerValue(const Shape&) const override { return 8; }
  double lowest() const override { return -highest(); }
  double highest() const override { return step_ * top_; }
  double step() const override { return step_; }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t) const override {
    for (int64_t i = 0; i < shape.elements(); ++i) {
      dst[i] =
          static_cast<float>(step_ * std::fmax(-top_, std::fmin(top_, std::rint(src[i] / step_))));
    }
    return absl::OkStatus();
  }

 private:
  const double step_, top_;
};

absl::StatusOr<std::unique_ptr<const Format>> CreateSteps(const FormatProto& proto) {
  if (const absl::Status status = CheckRange("steps", "width", proto.plugin().value(0), 0.001, 10);
      !status.ok())
    return status;
  return std::make_unique<Steps>(proto);
}

constexpr FamilyParameter kParameters[] = {
    {"width", FamilyParameter::kRequired, true},
    {.name = "top", .need = FamilyParameter::kOptional, .in_precision = true, .fallback = 4}};

Family StepsFamily(absl::string_view name, absl::string_view example) {
  return {.family_case = FormatProto::kPlugin,
          .name = name,
          .class_suffix = "Steps",
          .summary = "multiples of a step",
          .example = example,
          .parameters = kParameters,
          .create = CreateSteps,
          .has_reference = false};
}

const Family& Registered() {
  static const Family* const family = [] {
    auto* made = new Family(StepsFamily("steps", "plugin { family: 'steps' value: 0.5 }"));
    EXPECT_OK(RegisterFamily(made));
    return made;
  }();
  return *family;
}

std::vector<float> Rounded(absl::string_view text) {
  const auto format = Format::FromText(text);
  EXPECT_OK(format.status());
  if (!format.ok()) return {};
  const std::vector<float> x = {0.3f, -1.2f, 9.0f};
  std::vector<float> y(3);
  EXPECT_OK((*format)->Quantize(x.data(), y.data(), {3}));
  return y;
}

TEST(PluginFamilyTest, IsAFormatLikeAllOthersOnceItIsRegistered) {
  Registered();
  EXPECT_THAT(Families(), Contains(&Registered()));
  EXPECT_THAT(Rounded("steps 0.5/3"), ElementsAre(0.5f, -1.0f, 1.5f));
  EXPECT_THAT(Rounded("steps 0.5"), ElementsAre(0.5f, -1.0f, 2.0f)) << "top is 4 by default";
  EXPECT_THAT(Rounded("steps { top: 3 width: 0.5 }"), ElementsAre(0.5f, -1.0f, 1.5f));
  EXPECT_THAT(Rounded("steps"), ElementsAre(0.5f, -1.0f, 2.0f)) << "its example";
}

TEST(PluginFamilyTest, IsWrittenAsItIsRead) {
  Registered();
  const FormatProto format = *ParseFormat("steps 0.5/3 nan: NAN_TO_ZERO");
  EXPECT_EQ(FormatText(format), "steps 0.5/3 nan: NAN_TO_ZERO");
  EXPECT_THAT(PrecisionOf(*ParseFormat("steps 0.5")), ElementsAre("0.5", "4"));
  EXPECT_EQ(FindFamily(format), &Registered());
}

TEST(PluginFamilyTest, TakesMasesKeysOfItsParametersNamesOrValuesInARow) {
  Registered();
  FormatParameters keys;
  keys.set_width(2);
  EXPECT_THAT(PrecisionOf(*FormatFromParameters("steps", keys, "weight")), ElementsAre("2", "4"));
  FormatParameters row;
  row.add_values(0.25);
  row.add_values(2);
  EXPECT_THAT(PrecisionOf(*FormatFromParameters("steps", row, "weight")), ElementsAre("0.25", "2"));
  keys.set_frac_width(1);
  EXPECT_THAT(FormatFromParameters("steps", keys, "weight").status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("steps has no parameter weight_frac_width")));
  EXPECT_THAT(FormatFromParameters("steps", {}, "weight").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("steps needs width")));
}

TEST(PluginFamilyTest, WrongTextsSayWhatIsWrong) {
  Registered();
  for (const auto& [text, message] :
       {std::pair("steps 1/2/3", "3 values, but steps has 2"),
        std::pair("steps x", "width 'x': want a number"),
        std::pair("steps { widht: 1 }", "no parameter widht; did"),
        std::pair("steps { top: 1 }", "steps needs width"),
        std::pair("steps 50", "steps: width 50, allowed 0.001 to 10"),
        std::pair("steps 1 semantics: REFERENCE", "no such format")}) {
    EXPECT_THAT(Format::FromText(text).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)))
        << text;
  }
}

TEST(PluginFamilyTest, AFormatWhosePluginIsNotOpenIsNamedAndKept) {
  const FormatProto format = *ParseFormat("plugin { family: 'absent' value: 8 }");
  EXPECT_THAT(Format::Create(format).status(),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("format absent: no plugin that is open has it; give its file")));
  EXPECT_EQ(FormatText(format), "plugin { family: \"absent\" value: 8 }");
  EXPECT_THAT(PrecisionOf(format), ElementsAre("8"));
}

TEST(PluginFamilyTest, FamiliesThatAreNoneAreRefused) {
  Registered();
  const absl::string_view good = "plugin { family: 'other' value: 0.5 }";
  EXPECT_OK(CheckPluginFamily(StepsFamily("other", good)));
  EXPECT_THAT(CheckPluginFamily(StepsFamily("integer", good)),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("a format integer already")));
  EXPECT_THAT(CheckPluginFamily(StepsFamily("bfloat16", good)),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(CheckPluginFamily(StepsFamily("steps", good)),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(CheckPluginFamily(StepsFamily("other", "other 8")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("its example is not")));
  EXPECT_THAT(CheckPluginFamily(StepsFamily("My Format", good)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("small letters")));
  Family reference = StepsFamily("other", good);
  reference.has_reference = true;
  EXPECT_THAT(CheckPluginFamily(reference), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace mase
