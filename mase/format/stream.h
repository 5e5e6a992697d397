// Loops over tensors that no cache holds: results go straight to memory (non-temporal stores),
// which saves reading what they overwrite, and inputs are fetched ahead. The results are the same.
#ifndef MASE_FORMAT_STREAM_H_
#define MASE_FORMAT_STREAM_H_

#include <immintrin.h>

#include <cstdint>

#include "mase/base/isa.h"

namespace mase {

// Whether `count` elements from `src` to `dst` are worth streaming: together more than the last
// level of cache, not in place, `dst` aligned to 16 bytes.
bool WorthStreaming(const float* src, const float* dst, int64_t count);

// Sets the size of the last level of cache in bytes; a negative one restores the machine's.
void SetCacheBytesForTest(int64_t bytes);

// Elements that are computed in the nearest cache before they are stored; a multiple of 16.
inline constexpr int64_t kStreamPiece = 256;
// How far ahead inputs are fetched, in elements.
inline constexpr int64_t kFetchAhead = 1024;

// Stores `count` elements, a multiple of 16, past the caches, and fetches as many from `next`.
// `from` and `dst` are aligned to 16 bytes; `next` may point anywhere. _mm_sfence() must follow the
// last.
inline void StreamStore(const float* from, const float* next, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    _mm_prefetch(reinterpret_cast<const char*>(next + i), _MM_HINT_T0);
    for (int64_t j = i; j < i + 16; j += 4) _mm_stream_ps(dst + j, _mm_load_ps(from + j));
  }
}

// ForBestIsa, only compiled for the instruction sets that `Op::Whole` (grid_ops.h) is for, if `Op`
// has one: twice as many loops would be in the library, of which half could never run.
template <typename Op, typename Body>
void ForBestIsaOf(const Body& body) {
  if constexpr (requires { typename Op::Whole; }) {
    Op::Whole::Run(body);
  } else {
    ForBestIsa(body);
  }
}

// dst[i] = op(src[i]). `op` is inline; `src` may be `dst`.
template <typename Op>
void MapElements(const Op& op, const float* src, float* dst, int64_t count) {
  const bool streams = WorthStreaming(src, dst, count);
  ForBestIsaOf<Op>([=, &op] {
    const Op local = op;  // A copy that cannot alias `dst`.
    int64_t i = 0;
    if (streams) {
      alignas(64) float piece[kStreamPiece];
      for (; i + kStreamPiece <= count; i += kStreamPiece) {
        for (int64_t j = 0; j < kStreamPiece; ++j) piece[j] = local(src[i + j]);
        StreamStore(piece, src + i + kFetchAhead, dst + i, kStreamPiece);
      }
      _mm_sfence();
    }
    for (; i < count; ++i) dst[i] = local(src[i]);
  });
}

}  // namespace mase

#endif  // MASE_FORMAT_STREAM_H_
