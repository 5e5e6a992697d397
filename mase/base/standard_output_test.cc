#include "mase/base/standard_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/coverage.h"
#include "mase/base/limits.h"
#include "mase/testing/pseudo_terminal.h"

namespace mase {
namespace {

// Writes what it gets as the only thing on stderr, which death tests look at.
[[noreturn]] void Tell(const std::string& text) {
  std::fprintf(stderr, "<%s>", text.c_str());
  WriteCoverage();
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

TEST(HoldStandardFilesTest, NoFileGetsTheNumberOfOneThatIsClosed) {
  const auto run = [] {
    const int told = ::dup(STDERR_FILENO);
    for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(file);
    HoldStandardFiles();
    const int next = ::open("/dev/null", O_RDWR);
    char byte = 0;
    std::puts("lost");
    const std::string ending =
        absl::StrCat(next > STDERR_FILENO ? "behind" : "among", ",", ::read(STDIN_FILENO, &byte, 1),
                     ",", ::write(STDOUT_FILENO, "x", 1), ",", ::write(STDERR_FILENO, "x", 1), ",",
                     FinishPrinting().ToString());
    ::dup2(told, STDERR_FILENO);
    Tell(ending);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0),
              "<behind,-1,-1,-1,UNAVAILABLE: stdout: cannot write: Bad file descriptor>");
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
    WriteCoverage();
    std::_Exit(7);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "last words\n");
}

TEST(CatchOutputTest, OutputThatIsDisownedIsLeftAlone) {
  const auto run = [] {
    PrintByLines();
    DisownOutput();
    CatchOutput output;
    std::puts("for the parent");
    Tell(output.Take());
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "<>");
}

// Makes stdout a disk that is full.
void FillStdout() { dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO); }

TEST(FinishPrintingTest, IsOkWhereAllWasWritten) {
  const auto run = [] {
    std::cout << "printed\n";
    Tell(FinishPrinting().ToString());
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "<OK>");
}

TEST(FinishPrintingTest, NothingIsLostInSilence) {
  const auto at_the_end = [] {
    FillStdout();
    std::fputs("held until the end", stdout);
    Tell(FinishPrinting().ToString());
  };
  EXPECT_EXIT(at_the_end(), ::testing::ExitedWithCode(0),
              "<UNAVAILABLE: stdout: cannot write: No space left on device>");
  const auto before = [] {
    FillStdout();
    std::puts("a line");
    std::fflush(stdout);
    Tell(FinishPrinting().ToString());
  };
  EXPECT_EXIT(before(), ::testing::ExitedWithCode(0),
              "<UNAVAILABLE: stdout: cannot write: some of the output is lost>");
  const auto while_others_are_caught = [] {
    PrintByLines();
    FillStdout();
    CatchOutput output;
    PrintOut("ours");
    output.Take();
    Tell(FinishPrinting().ToString());
  };
  EXPECT_EXIT(while_others_are_caught(), ::testing::ExitedWithCode(0),
              "<UNAVAILABLE: stdout: cannot write: some of the output is lost>");
}

TEST(ColorsTest, AreWelcomeWithoutNoColor) {
  unsetenv("NO_COLOR");
  EXPECT_TRUE(ColorsAreWelcome());
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(ColorsAreWelcome());
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(ColorsAreWelcome());
}

std::string RoomText(const char* no_color, int file) {
  setenv("NO_COLOR", no_color, 1);
  dup2(file, STDOUT_FILENO);
  const Table::Room room = StandardOutputRoom();
  return absl::StrCat(room.columns, room.color ? " in colours" : "");
}

TEST(StandardOutputRoomTest, IsTheTerminals) {
  const PseudoTerminal terminal(133);
  if (!terminal.exists()) GTEST_SKIP() << "this machine has no pseudo-terminals";
  EXPECT_EXIT(Tell(RoomText("", terminal.file())), ::testing::ExitedWithCode(0),
              "<133 in colours>");
  EXPECT_EXIT(Tell(RoomText("1", terminal.file())), ::testing::ExitedWithCode(0), "<133>");
  // One that does not know its width.
  const PseudoTerminal serial(0);
  EXPECT_EXIT(Tell(RoomText("1", serial.file())), ::testing::ExitedWithCode(0), "<80>");
}

TEST(ForStandardOutputTest, ATerminalGetsNoControlCharacters) {
  const PseudoTerminal terminal(80);
  if (!terminal.exists()) GTEST_SKIP() << "this machine has no pseudo-terminals";
  const auto shown = [](int file) {
    ::dup2(file, STDOUT_FILENO);
    Tell(ForStandardOutput("a,\x1b[31mb\n"));
  };
  EXPECT_EXIT(shown(terminal.file()), ::testing::ExitedWithCode(0), "<a,.x1b.31mb\n>");
  EXPECT_EXIT(shown(open("/dev/null", O_WRONLY)), ::testing::ExitedWithCode(0), "<a,\x1b.31mb\n>");
}

TEST(StandardOutputRoomTest, Is80ColumnsWhereThereIsNoTerminal) {
  EXPECT_EXIT(Tell(RoomText("", open("/dev/null", O_WRONLY))), ::testing::ExitedWithCode(0),
              "<80>");
}

}  // namespace
}  // namespace mase
