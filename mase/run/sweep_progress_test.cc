#include "mase/run/sweep_progress.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct FakeTerminal {
  double now_s = 100;
  std::vector<std::string> writes;

  Terminal Get(bool interactive) {
    return {interactive, 80, [this] { return now_s; },
            [this](absl::string_view text) { writes.emplace_back(text); }};
  }
};

TEST(SweepProgressTest, ARunsLineStandsBehindHowFarTheSweepIs) {
  FakeTerminal fake;
  SweepProgress sweep(4, fake.Get(true));
  sweep.Keep();
  {
    Progress progress("epoch 0/2", 100, "batch", sweep.Begin(1));
    fake.now_s = 110;
    progress.Update(50);
  }
  sweep.End(1);
  {
    Progress progress("epoch 0/2", 100, "batch", sweep.Begin(2));
    fake.now_s = 120;
    progress.Update(50);
  }
  sweep.End(2);
  EXPECT_THAT(
      fake.writes,
      ElementsAre("\r\033[K[2/4] epoch 0/2  50% 50/100 batch [00:10<00:10, 5.00/s]", "\r\033[K",
                  "\r\033[K[3/4, 00:40 left] epoch 0/2  50% 50/100 batch [00:10<00:10, 5.00/s]",
                  "\r\033[K"));
}

TEST(SweepProgressTest, OfSeveralRunsTheFirstDraws) {
  FakeTerminal fake;
  SweepProgress sweep(2, fake.Get(false));
  Progress first("a", 10, "row", sweep.Begin(0)), second("b", 10, "row", sweep.Begin(1));
  fake.now_s = 106;
  second.Update(5);
  EXPECT_THAT(fake.writes, IsEmpty());
  first.Update(6);
  sweep.End(0);
  fake.now_s = 112;
  second.Update(9);
  EXPECT_THAT(fake.writes,
              ElementsAre("[1/2] a  60% 6/10 row [00:06<00:04, 1.00/s]\n",
                          "[2/2, 00:12 left] b  90% 9/10 row [00:12<00:01, 0.75/s]\n"));
}

TEST(SweepProgressTest, WhatIsWrittenBesidesFindsTheLineErased) {
  FakeTerminal fake;
  SweepProgress sweep(1, fake.Get(true));
  Progress progress("a", 10, "row", sweep.Begin(0));
  sweep.Clear();
  EXPECT_THAT(fake.writes, IsEmpty());
  fake.now_s = 101;
  progress.Update(5);
  sweep.Clear();
  EXPECT_EQ(fake.writes.back(), "\r\033[K");
}

}  // namespace
}  // namespace mase
