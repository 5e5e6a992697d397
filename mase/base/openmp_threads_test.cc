// Loops as GCC compiles them, on the threads of openmp_threads.cc.
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

using ::testing::Each;
using ::testing::SizeIs;

TEST(OpenMpThreadsTest, StaticLoopsVisitEachIndexOnce) {
  std::vector<int> visits(1000);
#pragma omp parallel for schedule(static) num_threads(4)
  for (int64_t i = 0; i < 1000; ++i) ++visits[i];
  EXPECT_THAT(visits, Each(1));
}

TEST(OpenMpThreadsTest, DynamicLoopsVisitEachIndexOnce) {
  for (const int step : {1, 3, 7}) {
    std::vector<int> signed_up(1000), signed_down(1000), unsigned_up(1000);
#pragma omp parallel for schedule(dynamic, 5) num_threads(4)
    for (int64_t i = 0; i < 1000; i += step) ++signed_up[i];
#pragma omp parallel for schedule(dynamic) num_threads(4)
    for (int64_t i = 999; i >= 0; i -= step) ++signed_down[999 - i];
#pragma omp parallel for schedule(dynamic, 2) num_threads(4)
    for (size_t i = 0; i < 1000; i += step) ++unsigned_up[i];
    for (int i = 0; i < 1000; ++i) {
      const int visits = i % step == 0 ? 1 : 0;
      EXPECT_EQ(signed_up[i], visits) << i << " of steps of " << step;
      EXPECT_EQ(signed_down[i], visits) << i << " of steps of " << step;
      EXPECT_EQ(unsigned_up[i], visits) << i << " of steps of " << step;
    }
  }
  int visits = 0;
#pragma omp parallel for schedule(dynamic) num_threads(4)
  for (int64_t i = 3; i < 3; ++i) ++visits;
  EXPECT_EQ(visits, 0);
}

TEST(OpenMpThreadsTest, ARegionMayHaveSeveralLoopsAndBarriers) {
  std::vector<int> first(100), second(100);
  std::atomic<int> early = 0;
#pragma omp parallel num_threads(3)
  {
#pragma omp for schedule(dynamic) nowait
    for (int64_t i = 0; i < 100; ++i) ++first[i];
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < 100; ++i) ++second[i];
    // The second loop's end is a barrier.
    if (std::count(second.begin(), second.end(), 1) != 100) ++early;
  }
  EXPECT_THAT(first, Each(1));
  EXPECT_THAT(second, Each(1));
  EXPECT_EQ(early, 0);
}

TEST(OpenMpThreadsTest, ThreadsAreAsManyAsAskedFor) {
  const int before = omp_get_max_threads();
  for (const int wanted : {1, 2, 5}) {
    omp_set_num_threads(wanted);
    EXPECT_EQ(omp_get_max_threads(), wanted);
    std::vector<std::thread::id> ids(wanted);
    std::vector<int> seen(wanted), inner(wanted);
#pragma omp parallel
    {
      const int thread = omp_get_thread_num();
      ids[thread] = std::this_thread::get_id();
      seen[thread] = omp_get_num_threads();
#pragma omp parallel num_threads(3)
      inner[thread] = omp_get_num_threads();
    }
    EXPECT_THAT(std::set(ids.begin(), ids.end()), SizeIs(wanted));
    EXPECT_THAT(seen, Each(wanted));
    EXPECT_THAT(inner, Each(1)) << "a region in a region";
  }
  omp_set_num_threads(before);
  EXPECT_EQ(omp_get_num_threads(), 1) << "outside of regions";
  EXPECT_FALSE(omp_in_parallel());
}

#ifdef MASE_THREAD_SANITIZER
void Race() {
  int sum = 0;
#pragma omp parallel for schedule(static) num_threads(2)
  for (int i = 0; i < 2; ++i) sum += i;
  std::exit(sum > 1 ? 1 : 0);
}

TEST(OpenMpThreadsDeathTest, ARaceIsFound) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(Race(), testing::ExitedWithCode(66), "data race");
}
#endif

}  // namespace
