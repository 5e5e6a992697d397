#include "mase/exec/arena.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

TEST(ArenaTest, BuffersThatFollowEachOtherShareMemory) {
  const ArenaLayout layout = PackArena({{0, 1, 16}, {1, 2, 16}, {2, 3, 16}});
  EXPECT_THAT(layout.offsets, ElementsAre(0, 16, 0));
  EXPECT_EQ(layout.elements, 32);
}

TEST(ArenaTest, TheSmallestGapThatHoldsABufferIsTaken) {
  // Gaps of 48 and 16 open up when step 1 is over.
  const ArenaLayout layout =
      PackArena({{0, 1, 48}, {0, 9, 16}, {0, 1, 16}, {0, 9, 16}, {2, 3, 10}, {2, 3, 40}});
  EXPECT_THAT(layout.offsets, ElementsAre(0, 48, 64, 80, 64, 0));
  EXPECT_EQ(layout.elements, 96);
}

TEST(ArenaTest, NoBuffersAndEmptyBuffersTakeNoMemory) {
  EXPECT_EQ(PackArena({}).elements, 0);
  EXPECT_EQ(PackArena({{0, 3, 0}, {1, 2, 0}}).elements, 0);
}

TEST(ArenaTest, BuffersInUseAtTheSameStepNeverOverlap) {
  Mt19937 random(1);
  std::vector<Lifetime> lifetimes;
  for (int i = 0; i < 400; ++i) {
    const int64_t first = random.Next32() % 100;
    lifetimes.push_back({first, first + random.Next32() % 20, random.Next32() % 100});
  }
  const ArenaLayout layout = PackArena(lifetimes);
  int64_t sum = 0;
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    EXPECT_EQ(layout.offsets[i] % 16, 0);
    EXPECT_LE(layout.offsets[i] + lifetimes[i].elements, layout.elements);
    sum += lifetimes[i].elements;
    for (size_t j = 0; j < i; ++j) {
      const Lifetime &a = lifetimes[i], &b = lifetimes[j];
      if (a.first > b.last || b.first > a.last || a.elements == 0 || b.elements == 0) continue;
      EXPECT_TRUE(layout.offsets[i] + a.elements <= layout.offsets[j] ||
                  layout.offsets[j] + b.elements <= layout.offsets[i])
          << i << " and " << j;
    }
  }
  EXPECT_LT(layout.elements, sum / 3);
}

}  // namespace
}  // namespace mase
