#include "mase/exec/arena.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <utility>

namespace mase {
namespace {

constexpr int64_t kAlignment = 64;

// The free gaps below the end of the block, by offset; neighbours are merged.
class Gaps {
 public:
  int64_t Take(int64_t bytes) {
    auto best = gaps_.end();
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
      if (gap->second >= bytes && (best == gaps_.end() || gap->second < best->second)) {
        best = gap;
      }
    }
    if (best == gaps_.end()) return Grow(bytes);
    const auto [offset, size] = *best;
    gaps_.erase(best);
    if (size > bytes) gaps_.emplace(offset + bytes, size - bytes);
    return offset;
  }

  void Free(int64_t offset, int64_t bytes) {
    if (bytes == 0) return;
    auto gap = gaps_.emplace(offset, bytes).first;
    if (const auto next = std::next(gap); next != gaps_.end() && next->first == offset + bytes) {
      gap->second += next->second;
      gaps_.erase(next);
    }
    if (gap != gaps_.begin()) {
      const auto previous = std::prev(gap);
      if (previous->first + previous->second == offset) {
        previous->second += gap->second;
        gaps_.erase(gap);
      }
    }
  }

  int64_t end() const { return end_; }

 private:
  // Extends the block, using the gap at its end.
  int64_t Grow(int64_t bytes) {
    int64_t offset = end_;
    if (!gaps_.empty()) {
      const auto last = std::prev(gaps_.end());
      if (last->first + last->second == end_) {
        offset = last->first;
        gaps_.erase(last);
      }
    }
    end_ = offset + bytes;
    return offset;
  }

  std::map<int64_t, int64_t> gaps_;
  int64_t end_ = 0;
};

}  // namespace

ArenaLayout PackArena(const std::vector<Lifetime>& lifetimes) {
  ArenaLayout layout;
  layout.offsets.resize(lifetimes.size());
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lifetimes[a].first < lifetimes[b].first; });
  Gaps gaps;
  using Ending = std::pair<int64_t, size_t>;  // Last step, buffer.
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> live;
  const auto size = [&](size_t i) {
    return (lifetimes[i].bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  for (const size_t i : order) {
    while (!live.empty() && live.top().first < lifetimes[i].first) {
      gaps.Free(layout.offsets[live.top().second], size(live.top().second));
      live.pop();
    }
    layout.offsets[i] = gaps.Take(size(i));
    live.emplace(lifetimes[i].last, i);
  }
  layout.bytes = gaps.end();
  return layout;
}

}  // namespace mase
