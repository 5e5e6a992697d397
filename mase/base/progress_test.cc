#include "mase/base/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/progress_text.h"
#include "mase/testing/pseudo_terminal.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

struct FakeTerminal {
  double now_s = 100;
  std::vector<std::string> writes;

  Terminal Get(bool interactive, int columns = 80) {
    return {interactive, columns, [this] { return now_s; },
            [this](absl::string_view text) { writes.emplace_back(text); }};
  }
};

TEST(ProgressTest, ShowsShareCountTimesRateAndDetailAndErasesItselfAtTheEnd) {
  FakeTerminal fake;
  {
    Progress progress("epoch 3/20", 3000, "batch", fake.Get(true));
    fake.now_s = 110;
    progress.Update(1000, [] { return std::string("loss 0.913"); });
  }
  EXPECT_THAT(fake.writes,
              ElementsAre("\r\033[Kepoch 3/20  33% 1000/3000 batch [00:10<00:20, 100/s] loss 0.913",
                          "\r\033[K"));
}

TEST(ProgressTest, ProgramsAreToldTheFigures) {
  FakeTerminal fake;
  Terminal terminal = fake.Get(true);
  std::vector<std::string> told;
  terminal.tell = [&](const ProgressFigures& figures) {
    told.push_back(absl::StrCat(figures.label, "|", figures.done, "|", figures.total, "|",
                                figures.unit, "|", figures.detail));
  };
  Progress progress("epoch 3/20", 3000, "batch", terminal);
  progress.Update(1);  // Too early for a line.
  fake.now_s = 110;
  progress.Update(1000, [] { return std::string("loss 0.913"); });
  EXPECT_THAT(told, ElementsAre("epoch 3/20|1000|3000|batch|loss 0.913"));
}

TEST(ProgressTest, WithoutATotalThereIsNoShareAndNoEta) {
  FakeTerminal fake;
  Progress progress("reading", 0, "row", fake.Get(true));
  fake.now_s = 100 + 3700;
  progress.Update(370);
  EXPECT_THAT(fake.writes, ElementsAre("\r\033[Kreading 370 row [1:01:40, 0.10/s]"));
}

TEST(ProgressTest, DrawsAtMostTenTimesASecond) {
  FakeTerminal fake;
  int details = 0;
  Progress progress("x", 10000, "step", fake.Get(true));
  for (int i = 0; i < 2000; ++i) {
    fake.now_s = 100 + i * 0.001;
    progress.Update(i, [&] { return ++details, std::string(); });
  }
  EXPECT_LE(fake.writes.size(), 20u);
  EXPECT_GE(fake.writes.size(), 15u);
  EXPECT_EQ(details, static_cast<int>(fake.writes.size()));
}

TEST(ProgressTest, OffATerminalItIsALineEveryFewSeconds) {
  FakeTerminal fake;
  {
    Progress progress("x", 100, "step", fake.Get(false));
    for (int i = 1; i <= 12; ++i) {
      fake.now_s = 100 + i;
      progress.Update(i);
    }
  }
  EXPECT_THAT(fake.writes, ElementsAre("x   5% 5/100 step [00:05<01:35, 1.00/s]\n",
                                       "x  10% 10/100 step [00:10<01:30, 1.00/s]\n"));
}

TEST(ProgressTest, IsSilentWithoutAClock) {
  Progress progress("x", 10, "step", Terminal());
  progress.Update(5, [] { return ADD_FAILURE(), std::string(); });
}

TEST(ProgressTest, CutsALineToTheTerminal) {
  FakeTerminal fake;
  Progress progress("x", 10, "step", fake.Get(true, 20));
  fake.now_s = 101;
  progress.Update(1, [] { return std::string(100, 'y'); });
  EXPECT_EQ(fake.writes.at(0).size(), std::string("\r\033[K").size() + 19);
}

// What Terminal::Stderr() says where stderr is that file.
Terminal StderrIn(int file) {
  const int before = dup(STDERR_FILENO);
  dup2(file, STDERR_FILENO);
  const Terminal terminal = Terminal::Stderr();
  terminal.write("shown");
  dup2(before, STDERR_FILENO);
  close(before);
  return terminal;
}

TEST(TerminalTest, StderrIsOneOfItsWidth) {
  const PseudoTerminal pseudo(133);
  if (!pseudo.exists()) GTEST_SKIP() << "this machine has no pseudo-terminals";
  const Terminal terminal = StderrIn(pseudo.file());
  EXPECT_TRUE(terminal.interactive);
  EXPECT_EQ(terminal.columns, 133);
  EXPECT_EQ(pseudo.Shown(), "shown");
  const double now_s = terminal.seconds();
  EXPECT_GE(terminal.seconds(), now_s);
}

TEST(TerminalTest, AFileIsNone) {
  const int file = open("/dev/null", O_WRONLY);
  const Terminal terminal = StderrIn(file);
  close(file);
  EXPECT_FALSE(terminal.interactive);
  EXPECT_EQ(terminal.columns, 80);
}

TEST(ClockTextTest, HasHoursOnlyWhereThereAreSome) {
  EXPECT_EQ(ClockText(0.9), "00:00");
  EXPECT_EQ(ClockText(3599), "59:59");
  EXPECT_EQ(ClockText(3600), "1:00:00");
  EXPECT_EQ(ClockText(1e9), "99:59:59");
}

}  // namespace
}  // namespace mase
