#include "mase/base/standard_output.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

// Writes what it gets as the only thing on stderr, which death tests look at.
[[noreturn]] void Tell(const std::string& text) {
  std::fprintf(stderr, "<%s>", text.c_str());
  std::_Exit(0);
}

TEST(CatchOutputTest, CatchesWhateverTheWay) {
  const auto run = [] {
    PrintByLines();
    CatchOutput output;
    std::printf("printf,");
    PrintOut("this is ours\n");
    if (::write(STDOUT_FILENO, "write", 5) != 5) Tell("no write");
    const std::string first = output.Take();
    std::printf("not caught\n");
    CatchOutput next;
    CatchOutput inner;
    std::puts("puts");
    const std::string none = inner.Take();
    Tell(first + "|" + none + "|" + next.Take());
  };
  // stdio hands over its part of the line when the output is taken.
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "<writeprintf,\\|\\|puts\n>");
}

TEST(CatchOutputTest, OnlyProgramsThatOwnStdoutCatch) {
  const auto run = [] {
    CatchOutput output;
    std::puts("for whoever has it");
    Tell(output.Take());
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "<>");
}

TEST(CatchOutputTest, WhatIsKeptIsLimited) {
  const auto kept = [](int64_t bytes) {
    PrintByLines();
    CatchOutput output;
    std::fputs(std::string(static_cast<size_t>(bytes), 'x').c_str(), stdout);
    Tell(std::to_string(output.Take().size()));
  };
  constexpr int64_t kMost = limits::kMaxPluginOutputBytes;
  EXPECT_EXIT(kept(kMost - 1), ::testing::ExitedWithCode(0), "<65535>");
  EXPECT_EXIT(kept(kMost), ::testing::ExitedWithCode(0), "<65536>");
  EXPECT_EXIT(kept(kMost + 1), ::testing::ExitedWithCode(0), "<65536>");
}

TEST(CatchOutputTest, WhatWasSaidBeforeTheEndIsNotLost) {
  const auto run = [] {
    PrintByLines();
    const CatchOutput output;
    std::puts("last words");
    std::fflush(stdout);  // The test has printed before, and so does not print by lines.
    LetCaughtOutputGo();
    std::_Exit(7);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "last words\n");
}

}  // namespace
}  // namespace mase
