// Block formats: elements share an exponent or a bias, chosen by the block's largest magnitude.
#ifndef MASE_FORMAT_BLOCK_FORMAT_H_
#define MASE_FORMAT_BLOCK_FORMAT_H_

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "mase/format/block_layout.h"
#include "mase/format/grid.h"
#include "mase/format/grid_ops.h"
#include "mase/format/stream.h"

namespace mase {

// The exponent e by which a block's grid is shifted, given its maximum M:
//
//   e = clamp(floor(log2 M') + offset, lowest, highest)
//
// where M' is M with `carry` added to its 23 fraction bits: 0 leaves log2 alone, kSqrt2Carry
// rounds it to nearest, CarryAt(n) counts an M that rounds up to a power of two with n bits as it.
// A block of zeros counts as M = 1. M = Inf counts as the largest float32; NaNs count nothing.
struct BlockRule {
  uint32_t carry = 0;
  int offset = 0;
  int lowest = 0, highest = 0;
  bool code_is_bias = false;  // The stored code is -e + highest, else e - lowest.
  int code_bits = 8;

  static constexpr uint32_t CarryAt(int bits) { return 1u << (23 - bits); }

  int Exponent(float maximum) const;
  uint32_t Code(int exponent) const {
    return static_cast<uint32_t>(code_is_bias ? highest - exponent : exponent - lowest);
  }
  int ExponentOf(uint32_t code) const {
    return code_is_bias ? highest - static_cast<int>(code) : lowest + static_cast<int>(code);
  }
};

// Alternative maxima to try for a block: quantiles of |x| (mxint, mxfp). The block takes the one
// with the smallest sum of squared errors, the first of equals.
inline constexpr double kSearchQuantiles[] = {1, .995, .99, .97, .95, .93, .9, .8, .7, .6, .5};

// EXACT semantics of every block format: a grid for blocks of exponent 0, and a rule. REFERENCE
// formats (reference_block_format.h) override DoQuantize and have no codes: what MASE computes
// there need not be on a grid.
class BlockFormat : public Format {
 public:
  // How a shape is cut into blocks; InvalidArgument if it cannot be.
  using Layout = std::function<absl::StatusOr<BlockLayout>(const Shape&)>;

  BlockFormat(const FormatProto& proto, const Grid& unit, const BlockRule& rule, Layout layout,
              bool quantile_search = false,
              FormatProto::Rounding family_rounding = FormatProto::NEAREST_EVEN);

  int code_bits() const override { return is_reference() ? 0 : unit_.bits; }
  double BitsPerValue(const Shape& shape) const override;
  double lowest() const override { return GridOf(1).lowest; }
  double highest() const override { return GridOf(1).highest; }
  double step() const override { return GridOf(1).Step(); }
  std::vector<float> Values() const override { return GridOf(1).Values(); }

 protected:
  absl::Status DoQuantize(const float* src, float* dst, const Shape& shape,
                          uint64_t seed) const override;
  absl::Status DoFindSaturated(const float* src, uint8_t* saturated,
                               const Shape& shape) const override;
  absl::Status DoEncode(const float* src, const Shape& shape,
                        EncodedTensor* encoded) const override;
  absl::Status DoDecode(const EncodedTensor& encoded, float* dst) const override;

  absl::StatusOr<BlockLayout> LayoutOf(const Shape& shape) const { return layout_(shape); }

 private:
  Grid GridOf(float maximum) const { return unit_.Shifted(rule_.Exponent(maximum)); }
  bool FastParams(const uint32_t* maxima, int64_t blocks, BlockParams* params) const;
  template <typename Op>
  void QuantizeFast(const Op& op, const BlockLayout& layout, int64_t elements, const float* src,
                    float* dst, uint64_t seed) const;
  void QuantizeExactly(const BlockLayout& layout, const float* src, float* dst,
                       uint64_t seed) const;
  std::vector<int> Exponents(const BlockLayout& layout, const float* src) const;
  int SearchExponent(const std::vector<float>& block) const;

  const Grid unit_;
  const BlockRule rule_;
  const Layout layout_;
  const bool quantile_search_;
  const Policy policy_;
};

// Blocks are worked through in chunks whose elements and parameters stay in the nearest cache.
inline constexpr int kBlocksPerChunk = 128;

// maxima[j] = max(maxima[j], bits of |src[i]| for i in block j), for the blocks of `block`
// elements that `count` elements make. As integers NaN is above Inf, and Inf above all numbers.
void AccumulateMaxima(const float* src, int64_t count, int64_t block, uint32_t* maxima);

// dst[i] = op(src[i], params[i / block]) for up to kBlocksPerChunk blocks. `op` is inline.
// `streams`: past the caches, where sizes allow it; _mm_sfence() must follow.
template <typename Op>
void ApplyBlocks(const Op& op, const BlockParams* params, const float* src, float* dst,
                 int64_t count, int64_t block, bool streams = false) {
  constexpr int64_t kBuffer = 32 * kBlocksPerChunk;
  alignas(64) float buffer[kBuffer];
  streams =
      streams && count <= kBuffer && count % 16 == 0 && reinterpret_cast<uintptr_t>(dst) % 16 == 0;
  float* const out = streams ? buffer : dst;
  ForBestIsaOf<Op>([=] {
    const Op local = op;
    const auto run = [&](int64_t begin, int64_t end, BlockParams p) __attribute__((always_inline)) {
      for (int64_t i = begin; i < end; ++i) out[i] = local(src[i], p);
    };
    if (block == 1) {
      for (int64_t i = 0; i < count; ++i) out[i] = local(src[i], params[i]);
      return;
    }
    const BlockParams* next = params;
    int64_t begin = 0;
    // The usual sizes as constants, for loops without remainders.
    if (block == 16) {
      for (; begin + 16 <= count; begin += 16) run(begin, begin + 16, *next++);
    } else if (block == 32) {
      for (; begin + 32 <= count; begin += 32) run(begin, begin + 32, *next++);
    }
    for (; begin < count; begin += block) {
      run(begin, std::min(begin + block, count), *next++);
    }
  });
  if (streams) StreamStore(buffer, src + count, dst, count);
}

// Calls chunk(first_block, blocks, maxima, apply) for consecutive blocks of a band. The chunk has
// their maxima as bits in maxima[0 .. blocks); it then reaches their elements by apply(fn), which
// calls fn(offset, count) for each run across all these blocks.
template <typename Chunk>
void ForEachChunk(const BlockLayout& layout, const float* src, const Chunk& chunk) {
  uint32_t maxima[kBlocksPerChunk];
  layout.ForEachBand([&](int64_t first_block, absl::Span<const int64_t> rows) {
    for (int64_t j = 0; j < layout.columns(); j += kBlocksPerChunk) {
      const int64_t blocks = std::min<int64_t>(kBlocksPerChunk, layout.columns() - j);
      const int64_t begin = j * layout.column_extent();
      const int64_t count = std::min(blocks * layout.column_extent(), layout.row_extent() - begin);
      std::memset(maxima, 0, sizeof maxima);
      for (int64_t row : rows) {
        AccumulateMaxima(src + row + begin, count, layout.column_extent(), maxima);
      }
      chunk(first_block + j, blocks, maxima, [&](const auto& fn) {
        for (int64_t row : rows) fn(row + begin, count);
      });
    }
  });
}

}  // namespace mase

#endif  // MASE_FORMAT_BLOCK_FORMAT_H_
