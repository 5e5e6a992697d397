#include "mase/base/pattern.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(PatternTest, TheWholeNameMatchesOrNothing) {
  const absl::StatusOr<Pattern> pattern = Pattern::Compile("seq_blocks_[0-9]+|x");
  ASSERT_TRUE(pattern.ok()) << pattern.status();
  EXPECT_TRUE(pattern->Matches("seq_blocks_11"));
  EXPECT_TRUE(pattern->Matches("x"));
  EXPECT_FALSE(pattern->Matches("my_seq_blocks_1"));
  EXPECT_FALSE(pattern->Matches("seq_blocks_1x"));
  EXPECT_EQ(pattern->text(), "seq_blocks_[0-9]+|x");
}

std::string Error(const std::string& text) {
  const absl::StatusOr<Pattern> pattern = Pattern::Compile(text);
  return pattern.ok() ? "ok" : std::string(pattern.status().message());
}

TEST(PatternTest, ErrorsNameThePlaceAndWhatToDo) {
  EXPECT_EQ(Error("(conv"), "not a regular expression: missing ), at '(conv'");
  EXPECT_EQ(
      Error("*conv"),
      "not a regular expression: no argument for repetition operator, at '*'; any text is .*");
  EXPECT_THAT(Error("(?=conv).*"), HasSubstr("look-around is not offered"));
  EXPECT_THAT(Error("(a)\\1"), HasSubstr("back references are not offered"));
  EXPECT_THAT(Error("\xff"), StartsWith("not a regular expression: invalid UTF-8"));
}

// std::regex overflows the stack on each of these.
TEST(PatternTest, NoPatternIsTooHostile) {
  const auto nested = Pattern::Compile(std::string(20000, '(') + "a" + std::string(20000, ')'));
  ASSERT_TRUE(nested.ok()) << nested.status();
  EXPECT_TRUE(nested->Matches("a"));
  EXPECT_FALSE(nested->Matches("b"));
  EXPECT_THAT(Error(std::string(20000, '[')), StartsWith("not a regular expression"));
  EXPECT_THAT(Error(std::string(limits::kMaxPatternBytes + 1, 'a')), HasSubstr("the limit is"));
  EXPECT_THAT(Error("((((a{1,100}){1,100}){1,100}){1,100})"),
              HasSubstr("not a regular expression"));
  EXPECT_EQ(Error(std::string(limits::kMaxPatternBytes, 'a')), "ok");
}

// Short texts of large automata, of which limits::kMaxPatternMemoryBytes are granted.
TEST(PatternTest, TheAutomatonIsLimited) {
  const auto letters = [](int count) {  // Some hundred bytes each.
    std::string pattern;
    for (int i = 0; i < 10; ++i) absl::StrAppend(&pattern, "\\pL{", count / 10, "}");
    return Error(pattern);
  };
  EXPECT_EQ(letters(100), "ok");
  EXPECT_THAT(letters(10000), HasSubstr("not a regular expression: pattern too large"));
  static_assert(limits::kMaxPatternMemoryBytes == 8 << 20);
}

TEST(PatternTest, MatchingIsLinear) {
  const absl::StatusOr<Pattern> pattern = Pattern::Compile("(a*)*(a*)*(a*)*b");
  ASSERT_TRUE(pattern.ok()) << pattern.status();
  EXPECT_FALSE(pattern->Matches(std::string(1 << 20, 'a')));  // Not in this life, backtracking.
}

}  // namespace
}  // namespace mase
