// Where buffers lie in one block of memory, given when each is in use.
#ifndef MASE_EXEC_ARENA_H_
#define MASE_EXEC_ARENA_H_

#include <cstdint>
#include <vector>

namespace mase {

// A buffer in use from step `first` to step `last`, both included.
struct Lifetime {
  int64_t first = 0;
  int64_t last = 0;
  int64_t bytes = 0;
};

struct ArenaLayout {
  std::vector<int64_t> offsets;  // By buffer, in bytes; multiples of 64.
  int64_t bytes = 0;             // Of the whole block.
};

// Gives every buffer a place that no other buffer has at the same step. Buffers are placed in the
// order of their first steps, each into the smallest gap that holds it: deterministic, and
// O(n log n) for lifetimes of which few overlap.
ArenaLayout PackArena(const std::vector<Lifetime>& lifetimes);

}  // namespace mase

#endif  // MASE_EXEC_ARENA_H_
