#include "mase/config/complete.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/config/testing_options.pb.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using plugins::shape_up::ShapeUpOptions;
using ::testing::HasSubstr;

ShapeUpOptions Options(const std::string& text) {
  ShapeUpOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &options)) << text;
  return options;
}

TEST(CompleteTest, WhatIsUnsetGetsItsDefault) {
  ShapeUpOptions options;
  ASSERT_OK(CompleteMessage(options));
  EXPECT_EQ(options.by(), "type");
  EXPECT_EQ(options.share(), 0.25);
  EXPECT_FALSE(options.has_table());
}

TEST(CompleteTest, WhatIsSetStays) {
  ShapeUpOptions options = Options("by: 'name' share: 1");
  ASSERT_OK(CompleteMessage(options));
  EXPECT_EQ(options.by(), "name");
  EXPECT_EQ(options.share(), 1);
}

TEST(CompleteTest, ValuesAreCheckedHoweverDeepTheyLie) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"share: 0", "share: 0 is out of range, want above 0 and at most 1"},
      {"share: nan", "share: nan is out of range"},
      {"turns: 8", "turns: 8 is out of range, want at least 0 and below 8"},
      {"by: 'nmae'", "by: 'nmae' is none of type, name, regex_name; did you mean 'name'?"},
      {"mode: 7", "mode: 7 is none of MODE_UNSET, GENTLE, HARD"},
      {"modes: [HARD, 7]", "modes: 7 is none of"},
      {"rules { config { weight { width: 0 } } }", "rules.config.weight.width: 0 is out of range"},
      {"extra { key: 'a' value { config { left { width: -1 } } } }",
       "extra.value.config.left.width: -1 is out of range"},
  };
  for (const Case& c : cases) {
    ShapeUpOptions options = Options(c.text);
    EXPECT_THAT(CompleteMessage(options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)))
        << c.text;
  }
}

}  // namespace
}  // namespace mase
