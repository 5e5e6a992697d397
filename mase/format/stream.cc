#include "mase/format/stream.h"

#include <unistd.h>

#include <atomic>

namespace mase {
namespace {

constexpr int64_t kUnknownCache = 32 << 20;

int64_t MachineCacheBytes() {
  const int64_t bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? bytes : kUnknownCache;
}

std::atomic<int64_t>& CacheBytes() {
  static std::atomic<int64_t> bytes = MachineCacheBytes();
  return bytes;
}

}  // namespace

bool WorthStreaming(const float* src, const float* dst, int64_t count) {
  return count >= kStreamPiece && src != dst && reinterpret_cast<uintptr_t>(dst) % 16 == 0 &&
         2 * count * static_cast<int64_t>(sizeof(float)) > CacheBytes();
}

void SetCacheBytesForTest(int64_t bytes) { CacheBytes() = bytes < 0 ? MachineCacheBytes() : bytes; }

}  // namespace mase
