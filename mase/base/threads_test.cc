#include "mase/base/threads.h"

#include <omp.h>

#include "gtest/gtest.h"
#include "mase/base/limits.h"

namespace mase {
namespace {

TEST(ThreadsTest, AreBoundedByTheLimit) {
  for (const int fits : {1, limits::kMaxThreads - 1, limits::kMaxThreads}) {
    omp_set_num_threads(fits);
    EXPECT_EQ(BoundThreads(), 0);
    EXPECT_EQ(omp_get_max_threads(), fits);
  }
  omp_set_num_threads(limits::kMaxThreads + 1);
  EXPECT_EQ(BoundThreads(), limits::kMaxThreads + 1);
  EXPECT_EQ(omp_get_max_threads(), limits::kMaxThreads);
}

TEST(ThreadShareTest, IsAPartOfTheThreadsWhileItLives) {
  omp_set_num_threads(9);
  {
    const ThreadShare share(2);
    EXPECT_EQ(omp_get_max_threads(), 4);
    const ThreadShare least(100);
    EXPECT_EQ(omp_get_max_threads(), 1);
  }
  EXPECT_EQ(omp_get_max_threads(), 9);
  omp_set_num_threads(limits::kMaxThreads + 1);
  const ThreadShare whole(1);
  EXPECT_EQ(omp_get_max_threads(), limits::kMaxThreads);
}

}  // namespace
}  // namespace mase
