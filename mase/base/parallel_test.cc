#include "mase/base/parallel.h"

#include <omp.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace mase {
namespace {

TEST(ChunkCountTest, DependsOnTheSizeAlone) {
  struct Case {
    int64_t n, grain, max_chunks, chunks;
  };
  constexpr Case kCases[] = {
      {0, 10, 64, 1},    {9, 10, 64, 1},     {19, 10, 64, 1},  {20, 10, 64, 2},
      {639, 10, 64, 63}, {1000, 10, 64, 64}, {1000, 10, 3, 3}, {5, 0, 64, 5},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(ChunkCount(c.n, c.grain, c.max_chunks), c.chunks) << c.n << " by " << c.grain;
  }
}

TEST(ForChunksTest, EachIndexIsInOneChunk) {
  for (const int64_t n : {0, 1, 7, 64, 1000}) {
    for (const int64_t chunks : {0, 1, 3, 64}) {
      std::vector<int> calls(n, 0);
      ForChunks(n, chunks, [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++calls[i];
      });
      EXPECT_EQ(calls, std::vector<int>(n, 1)) << n << " in " << chunks;
    }
  }
}

// Partial sums of chunks, added in the order of the chunks.
float Sum(const std::vector<float>& values) {
  const int64_t n = static_cast<int64_t>(values.size());
  std::vector<float> sums(ChunkCount(n, 100));
  ForChunks(n, static_cast<int64_t>(sums.size()), [&](int64_t chunk, int64_t begin, int64_t end) {
    sums[chunk] = std::accumulate(values.begin() + begin, values.begin() + end, 0.0f);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0f);
}

TEST(ForChunksTest, ResultsDoNotDependOnTheNumberOfThreads) {
  std::vector<float> values(100000);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i)) / static_cast<float>(i + 1);
  }
  omp_set_num_threads(1);
  const float sum = Sum(values);
  for (const int threads : {2, 3, 7, 16}) {
    omp_set_num_threads(threads);
    EXPECT_EQ(Sum(values), sum) << threads;
  }
}

TEST(ParallelForTest, EachIndexIsGivenOnce) {
  std::vector<int> calls(3 * kElementGrain + 1, 0);
  ParallelFor(static_cast<int64_t>(calls.size()), kElementGrain, [&](int64_t begin, int64_t end) {
    EXPECT_GE(end - begin, kElementGrain);
    for (int64_t i = begin; i < end; ++i) ++calls[i];
  });
  EXPECT_EQ(calls, std::vector<int>(calls.size(), 1));
}

}  // namespace
}  // namespace mase
