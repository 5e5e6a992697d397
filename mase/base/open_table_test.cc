#include "mase/base/open_table.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(OpenTableTest, WhatWasReadStaysAsItWas) {
  OpenTable<std::vector<int>> table({1});
  const std::vector<int>& before = table.get();
  table.Grow([](std::vector<int>& all) { all.push_back(2); });
  EXPECT_EQ(before, std::vector<int>({1}));
  EXPECT_EQ(table.get(), std::vector<int>({1, 2}));
}

TEST(OpenTableTest, GrowsWhileOthersRead) {
  OpenTable<std::vector<int>> table({});
  constexpr int kEntries = 200;
  std::atomic<bool> is_torn = false;
  std::thread reader([&] {
    for (size_t size = 0; size < kEntries;) {
      const std::vector<int>& all = table.get();
      if (all.size() < size) is_torn = true;
      size = all.size();
      for (size_t i = 0; i < size; ++i) {
        if (all[i] != static_cast<int>(i)) is_torn = true;
      }
    }
  });
  for (int i = 0; i < kEntries; ++i) {
    table.Grow([i](std::vector<int>& all) { all.push_back(i); });
  }
  reader.join();
  EXPECT_FALSE(is_torn);
}

}  // namespace
}  // namespace mase
