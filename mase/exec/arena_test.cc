#include "mase/exec/arena.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/random.h"

namespace mase {
namespace {

using ::testing::ElementsAre;

TEST(ArenaTest, BuffersThatFollowEachOtherShareMemory) {
  const ArenaLayout layout = PackArena({{0, 1, 64}, {1, 2, 64}, {2, 3, 64}});
  EXPECT_THAT(layout.offsets, ElementsAre(0, 64, 0));
  EXPECT_EQ(layout.bytes, 128);
}

TEST(ArenaTest, TheSmallestGapThatHoldsABufferIsTaken) {
  // Gaps of 192 and 64 open up when step 1 is over.
  const ArenaLayout layout =
      PackArena({{0, 1, 192}, {0, 9, 64}, {0, 1, 64}, {0, 9, 64}, {2, 3, 40}, {2, 3, 160}});
  EXPECT_THAT(layout.offsets, ElementsAre(0, 192, 256, 320, 256, 0));
  EXPECT_EQ(layout.bytes, 384);
}

TEST(ArenaTest, NoBuffersAndEmptyBuffersTakeNoMemory) {
  EXPECT_EQ(PackArena({}).bytes, 0);
  EXPECT_EQ(PackArena({{0, 3, 0}, {1, 2, 0}}).bytes, 0);
}

TEST(ArenaTest, BuffersInUseAtTheSameStepNeverOverlap) {
  Mt19937 random(1);
  std::vector<Lifetime> lifetimes;
  for (int i = 0; i < 400; ++i) {
    const int64_t first = random.Next32() % 100;
    lifetimes.push_back({first, first + random.Next32() % 20, random.Next32() % 400});
  }
  const ArenaLayout layout = PackArena(lifetimes);
  int64_t sum = 0;
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    EXPECT_EQ(layout.offsets[i] % 64, 0);
    EXPECT_LE(layout.offsets[i] + lifetimes[i].bytes, layout.bytes);
    sum += lifetimes[i].bytes;
    for (size_t j = 0; j < i; ++j) {
      const Lifetime &a = lifetimes[i], &b = lifetimes[j];
      if (a.first > b.last || b.first > a.last || a.bytes == 0 || b.bytes == 0) continue;
      EXPECT_TRUE(layout.offsets[i] + a.bytes <= layout.offsets[j] ||
                  layout.offsets[j] + b.bytes <= layout.offsets[i])
          << i << " and " << j;
    }
  }
  EXPECT_LT(layout.bytes, sum / 3);
}

}  // namespace
}  // namespace mase
