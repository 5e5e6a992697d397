#include "mase/format/format_text.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/format/family.h"
#include "mase/format/format.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

std::string Parsed(absl::string_view text) {
  const absl::StatusOr<FormatProto> format = ParseFormat(text);
  return format.ok() ? format->ShortDebugString() : std::string(format.status().message());
}

TEST(FormatTextTest, ValuesAreThoseOfPrecisionInTheirOrder) {
  EXPECT_EQ(Parsed("integer 8/4"), "integer { width: 8 frac_width: 4 }");
  EXPECT_EQ(Parsed(" integer 8 "), "integer { width: 8 }");
  EXPECT_EQ(Parsed("fixed 8/None"), "integer { width: 8 }");
  EXPECT_EQ(Parsed("integer_floor 8/4"), "rounding: FLOOR integer { width: 8 frac_width: 4 }");
  EXPECT_EQ(Parsed("minifloat 4/3/false/ru"),
            "minifloat { exponent_width: 4 frac_width: 3 is_finite: false round_mode: \"ru\" }");
  EXPECT_EQ(Parsed("msfp 8/8/None/1x16"),
            "block_fp { width: 8 exponent_width: 8 block_size: 1 block_size: 16 }");
}

TEST(FormatTextTest, PoliciesFollow) {
  EXPECT_EQ(Parsed("integer 8/4 rounding: FLOOR semantics: REFERENCE"),
            "semantics: REFERENCE rounding: FLOOR integer { width: 8 frac_width: 4 }");
  EXPECT_EQ(Parsed("mxint8 rounding: CEILING"),
            "rounding: CEILING mxint { block_size: 32 element_bits: 8 }");
  EXPECT_EQ(Parsed("nan: NAN_TO_ZERO integer { width: 3 }"),
            "nan: NAN_TO_ZERO integer { width: 3 }");
  EXPECT_EQ(Parsed("fixed { width: 3 }"), "integer { width: 3 }");
}

TEST(FormatTextTest, AFamilyAloneIsItsExample) {
  for (const Family* family : Families()) {
    EXPECT_EQ(Parsed(family->name), Parsed(family->example));
    EXPECT_TRUE(Format::FromText(family->name).ok()) << family->name;
  }
}

// Whatever the types of its values are.
TEST(FormatTextTest, AnyNumberOfValuesOfAnyFamilyIsReadAndPrinted) {
  for (const Family* family : Families()) {
    std::string text = absl::StrCat(family->name, " 1");
    for (const FamilyParameter& parameter : family->parameters) {
      if (!parameter.in_precision) continue;
      const absl::StatusOr<FormatProto> format = ParseFormat(text);
      ASSERT_TRUE(format.ok()) << format.status();
      const absl::StatusOr<FormatProto> again = ParseFormat(FormatText(*format));
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(WithDefaults(*again).ShortDebugString(), WithDefaults(*format).ShortDebugString());
      text += "/1";
    }
  }
}

TEST(FormatTextTest, FaultsAreNamed) {
  EXPECT_EQ(Parsed(""), "no format; for example 'integer 8/4'");
  EXPECT_EQ(Parsed("intger 8/4"), "unknown format 'intger'; did you mean 'integer'?");
  EXPECT_EQ(Parsed("intger { width: 8 }"), "unknown format 'intger'; did you mean 'integer'?");
  EXPECT_THAT(Parsed("posit"), HasSubstr("unknown format 'posit'; there are integer, "));
  EXPECT_EQ(Parsed("integer 8/4/2"),
            "format 'integer 8/4/2': 3 values, but integer has width/frac_width");
  EXPECT_EQ(Parsed("integer x"), "format 'integer x': width 'x': want an integer");
  EXPECT_EQ(Parsed("ternary 2/true/much"),
            "format 'ternary 2/true/much': mean 'much': want a number");
  EXPECT_THAT(Parsed("block_fp 8/8/127/1.16"), HasSubstr("want integers joined by x, as in 1x16"));
  EXPECT_THAT(Parsed("integer { widht: 8 }"), HasSubstr("widht"));
  EXPECT_THAT(Parsed("integer 8/4 rounding: UP"), HasSubstr("UP"));
}

TEST(FormatTextTest, WhatIsPrintedIsReadAgain) {
  std::vector<std::string> texts = {"integer 8/4 overflow: WRAP",
                                    "mxfp8_e5m2",
                                    "bfloat16",
                                    "block_fp 8/8/127/1x16 semantics: REFERENCE",
                                    "integer { width: 8 is_signed: false }",
                                    "binary { }",
                                    "affine 8",
                                    "log 8/3 gradient: CLAMP_AWARE",
                                    "ternary 2/true/0.1",
                                    "ternary 2/true/None/0.3333333"};
  for (const Family* family : Families()) texts.emplace_back(family->example);
  for (const std::string& text : texts) {
    const FormatProto format = ParseFormat(text).value();
    const FormatProto again = ParseFormat(FormatText(format)).value();
    EXPECT_EQ(WithDefaults(again).ShortDebugString(), WithDefaults(format).ShortDebugString());
    const FormatProto full = ParseFormat(FormatText(WithDefaults(format))).value();
    EXPECT_EQ(WithDefaults(full).ShortDebugString(), WithDefaults(format).ShortDebugString());
  }
  EXPECT_EQ(FormatText(ParseFormat("integer { width: 8 frac_width: 4 }").value()), "integer 8/4");
  EXPECT_EQ(FormatText(ParseFormat("mxint 32/8").value()), "mxint8");
  EXPECT_EQ(FormatText(ParseFormat("binary { }").value()), "binary 0/false/false");
}

// "| `block_fp` (`msfp`) | values | width (12), block_size (16) |" says defaults in parentheses.
TEST(DefaultsTest, AreThoseOfTheManual) {
  const std::string manual = ReadFile(Runfile("docs/formats.md"), 1 << 20).value();
  int defaults = 0;
  for (const Family* family : Families()) {
    const std::string begin = absl::StrCat("\n| `", family->name, "`");
    const size_t at = manual.find(begin, manual.find("## Families"));
    ASSERT_NE(at, std::string::npos) << family->name;
    const std::string row = manual.substr(at + 1, manual.find('\n', at + 1) - at - 1);
    const FormatProto format = ParseFormat(family->example).value();
    FormatProto bare;
    bare.GetReflection()->MutableMessage(
        &bare, FormatProto::descriptor()->FindFieldByNumber(family->family_case));
    const std::string full = WithDefaults(bare).ShortDebugString();
    const std::string parameters = row.substr(row.rfind('|', row.size() - 2));
    // Numbers and words; formulas are tested by value below.
    for (const char* field :
         {"width", "exponent_width", "block_size", "skip_first_dim", "levels", "is_signed",
          "is_finite", "has_zero", "quantile", "block_dim", "scale_bits", "axis"}) {
      const std::string mark = absl::StrCat(" ", field, " (");
      const size_t found = parameters.find(mark);
      const bool documented = found != std::string::npos;
      const bool has = full.find(absl::StrCat(" ", field, ": ")) != std::string::npos;
      EXPECT_EQ(documented, has) << family->name << "." << field;
      if (!documented || !has) continue;
      const size_t value = found + mark.size();
      EXPECT_THAT(full, HasSubstr(absl::StrCat(
                            " ", field, ": ",
                            parameters.substr(value, parameters.find(')', value) - value))))
          << family->name;
      ++defaults;
    }
  }
  EXPECT_GT(defaults, 15);
  EXPECT_EQ(WithDefaults(ParseFormat("integer 7").value()).integer().frac_width(), 3);
  EXPECT_EQ(WithDefaults(ParseFormat("logicnets 4").value()).logicnets().frac_width(), 2);
  EXPECT_EQ(WithDefaults(ParseFormat("log 8").value()).log().exponent_bias(), 63);
  for (const char* text : {"minifloat_ieee 8/4", "minifloat_denorm 8/4"}) {
    EXPECT_THAT(WithDefaults(ParseFormat(text).value()).ShortDebugString(),
                HasSubstr("exponent_bias: 7"));
  }
  EXPECT_EQ(WithDefaults(ParseFormat("block_fp 8").value()).block_fp().exponent_bias(), 127);
}

}  // namespace
}  // namespace mase
