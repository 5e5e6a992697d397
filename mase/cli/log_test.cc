#include "mase/cli/log.h"

#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(WrapLinesTest, LinesBreakAtBlanks) {
  EXPECT_EQ(WrapLines("INFO     one two three four", 20, 9),
            "INFO     one two\n"
            "         three four\n");
  EXPECT_EQ(WrapLines("fits", 20, 9), "fits\n");
  EXPECT_EQ(WrapLines("exactly twenty chars", 20, 9), "exactly twenty chars\n");
}

TEST(WrapLinesTest, LongWordsStayWhole) {
  EXPECT_EQ(WrapLines("at /a/path/longer/than/this it is", 12, 3),
            "at\n"
            "   /a/path/longer/than/this\n"
            "   it is\n");
  EXPECT_EQ(WrapLines("/a/path/longer/than/this", 12, 3), "/a/path/longer/than/this\n");
}

TEST(WrapLinesTest, IndentedLinesGoOnBelowTheirBeginning) {
  EXPECT_EQ(WrapLines("ERROR three wrong:\n  rule one two\n  rule b", 11, 6),
            "ERROR three\n"
            "      wrong:\n"
            "  rule one\n"
            "  two\n"
            "  rule b\n");
}

TEST(WrapLinesTest, CharactersCountNotBytes) {
  EXPECT_EQ(WrapLines("größe größe", 11, 0), "größe größe\n");
}

// Else a name with a line break would be a message of its own.
TEST(LogTest, ALineOfAMessageIsNoMessageOfItsOwn) {
  ::testing::internal::CaptureStderr();
  Log(LogLevel::kError, "a/x\nERROR    forged.png: is a pipe");
  Log(LogLevel::kError, "two wrong:\none\n  two");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "ERROR    a/x\n"
            "         ERROR    forged.png: is a pipe\n"
            "ERROR    two wrong:\n"
            "one\n"
            "  two\n");
}

}  // namespace
}  // namespace mase
