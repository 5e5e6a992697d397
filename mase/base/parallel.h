// Parallel loops whose results do not depend on the number of threads.
//
// The range is cut into chunks by its size alone; each chunk is one call, so whatever is summed
// inside a chunk is summed in the same order on one thread and on many. Partial results of chunks
// are for the caller to add in chunk order.
#ifndef MASE_BASE_PARALLEL_H_
#define MASE_BASE_PARALLEL_H_

#include <algorithm>
#include <cstdint>

namespace mase {

// How many chunks [0, n) is cut into: at most `max_chunks`, each of at least `grain`.
inline int64_t ChunkCount(int64_t n, int64_t grain, int64_t max_chunks = 64) {
  return std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, max_chunks);
}

// Calls body(chunk, begin, end) for each of `chunks` nearly equal parts of [0, n). One chunk runs
// right here, without waking the pool.
template <typename Body>
void ForChunks(int64_t n, int64_t chunks, const Body& body) {
  if (chunks <= 1) {
    body(0, 0, n);
    return;
  }
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    body(chunk, n * chunk / chunks, n * (chunk + 1) / chunks);
  }
}

// The same for work without partial results: body(begin, end).
template <typename Body>
void ParallelFor(int64_t n, int64_t grain, const Body& body) {
  ForChunks(n, ChunkCount(n, grain),
            [&](int64_t, int64_t begin, int64_t end) { body(begin, end); });
}

// Elements of light arithmetic that are worth a task.
inline constexpr int64_t kElementGrain = 1 << 15;

}  // namespace mase

#endif  // MASE_BASE_PARALLEL_H_
