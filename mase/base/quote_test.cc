#include "mase/base/quote.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST(PrintableTest, PlainTextStaysAsItIs) {
  EXPECT_EQ(Printable("Linear 32, ReLU\n\tå 日本 😀 \\x1b"), "Linear 32, ReLU\n\tå 日本 😀 \\x1b");
  EXPECT_EQ(Printable(""), "");
}

TEST(PrintableTest, WhatActsOnATerminalIsSpelled) {
  EXPECT_EQ(Printable("a\033[31mb\a\r\x7f"), "a\\x1b[31mb\\x07\\x0d\\x7f");
  EXPECT_EQ(Printable(std::string("nul\0end", 7)), "nul\\x00end");
  EXPECT_EQ(Printable("\u009b31m"), "\\xc2\\x9b31m") << "CSI in one character";
  EXPECT_EQ(Printable("txt.\u202eexe"), "txt.\\xe2\\x80\\xaeexe") << "right to left";
  EXPECT_EQ(Printable("\u2066x"), "\\xe2\\x81\\xa6x");
  EXPECT_EQ(Printable("\u202f"), "\u202f") << "a narrow blank";
}

TEST(PrintableTest, BytesThatAreNotUtf8AreSpelled) {
  EXPECT_EQ(Printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(Printable("\xc0\x80"), "\\xc0\\x80") << "an overlong zero";
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(Printable("\xe6\x97"), "\\xe6\\x97") << "a cut character";
}

TEST(PrintableTest, AllTextsBecomeStable) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(Printable(Printable(all)), Printable(all));
}

TEST(ShortenedTest, TheMiddleGoesAndIsCounted) {
  EXPECT_EQ(Shortened("0123456789", 10), "0123456789");
  EXPECT_EQ(Shortened("0123456789ab", 8), "012345[... 4 bytes ...]ab");
}

TEST(ShortenedTest, NoCharacterIsCut) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "日";
  for (size_t bytes = 4; bytes < 40; ++bytes) {
    EXPECT_EQ(Printable(Shortened(text, bytes)).find('\\'), std::string::npos) << bytes;
  }
}

TEST(QuotedTest, IsOneShortLine) {
  EXPECT_EQ(Quoted("x"), "'x'");
  EXPECT_EQ(Quoted("a\nb\033c"), "'a\\nb\\x1bc'");
  const std::string name(1 << 20, 'n');
  EXPECT_THAT(Quoted(name), AllOf(StartsWith("'nnn"), HasSubstr(" bytes ...]"), EndsWith("n'")));
  EXPECT_LE(Quoted(name).size(), limits::kMaxQuotedBytes + 40);
}

TEST(PrintableMessageTest, IsBounded) {
  EXPECT_EQ(PrintableMessage("two\nlines"), "two\nlines");
  const auto words = [](int64_t bytes) {
    std::string text;
    for (int64_t i = 0; i < bytes; ++i) text += i % 2 == 0 ? 'm' : ' ';
    return text;
  };
  EXPECT_THAT(PrintableMessage(words(limits::kMaxMessageBytes)), SizeIs(limits::kMaxMessageBytes));
  EXPECT_LE(PrintableMessage(words(1 << 20)).size(), limits::kMaxMessageBytes + 40);
}

// A name of any length leaves what is said of it to be read.
TEST(PrintableMessageTest, NamesAreShortened) {
  const auto word = [](int64_t bytes) { return std::string(bytes, 'n'); };
  const auto blanks = [](int64_t bytes) { return std::string(bytes, '.') + " "; };
  for (const int64_t fits : {limits::kMaxMessageNameBytes - 1, limits::kMaxMessageNameBytes}) {
    const std::string path = word(fits - 1) + ": cannot open";
    EXPECT_EQ(PrintableMessage(path), path);
    const std::string name = "no '" + blanks(fits - 1) + "' here";
    EXPECT_EQ(PrintableMessage(name), name);
  }
  EXPECT_EQ(PrintableMessage("x: " + word(100000) + ": cannot open '" + word(100000) + "': gone"),
            "x: " + word(354) + "[... 99529 bytes ...]" + word(117) + ": cannot open '" +
                word(354) + "[... 99528 bytes ...]" + word(118) + "': gone");
  // With blanks, and with apostrophes.
  std::string layers = "Linear 1";
  for (int i = 0; i < 20000; ++i) layers += ", a's 1";
  const std::string shown = PrintableMessage("model's '" + layers + "': doesn't fit 'x'");
  EXPECT_THAT(shown,
              AllOf(StartsWith("model's 'Linear 1, a's 1, "), EndsWith("': doesn't fit 'x'")));
  EXPECT_LE(shown.size(), limits::kMaxMessageNameBytes + 40);
  EXPECT_EQ(PrintableMessage(shown), shown);
}

// Each byte is looked at a few times, whatever is quoted and not.
TEST(PrintableMessageTest, TakesLinearTime) {
  std::string open;
  while (open.size() < 1 << 21) open += " 'a";
  EXPECT_LE(PrintableMessage(open).size(), limits::kMaxMessageBytes + 40);
  EXPECT_LE(PrintableMessage(std::string(1 << 21, '\'')).size(), limits::kMaxMessageBytes + 40);
}

}  // namespace
}  // namespace mase
