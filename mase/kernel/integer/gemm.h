// Products of whole numbers, from packed factors to finished results: what linear layers,
// convolutions and matrix products in integers share.
//
//   result[r][c] = epilogue((sum over t, k of (a[t][r][k] - zero) * b[t][k][c] + offset[c])
//                           * scale[c] + shift[c])
//
// Where a[t][r] is padding, it is the zero point and the product 0; taps that are padding for all
// rows of a tile are not computed.
//
// a are stored codes (kernel/codes.h) with one zero point, b whole numbers known when they are
// packed, sums int32. That a result is its exact sum, rounded once to float32, is seen to where
// b is packed:
//
//   shift 0       the bias is a whole number of the sum's units, and part of offset
//   shift = bias  else; the sum is below 2^24, so that the one rounding is that of the addition
//   in double     else: sum and bias are added in double, and that is rounded
//
// With a scale that is no power of two there is no such promise: products are float32.
#ifndef MASE_KERNEL_INTEGER_GEMM_H_
#define MASE_KERNEL_INTEGER_GEMM_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "mase/kernel/codes.h"
#include "mase/kernel/integer/epilogue.h"
#include "mase/kernel/integer/tile.h"
#include "mase/kernel/tile_parts.h"

namespace mase {

// What sums can be, from the weights at hand: the overflow proof of a step.
struct SumBound {
  double least = 0, most = 0;
  // As what biases are added: int32 in offset, float32 as shift, or float64.
  DType bias = DType::kInt32;

  // The smallest width of a two's complement accumulator that holds all of them.
  int bits() const;
  void Include(double from, double to);
  void Include(const SumBound& other);
};

// Sums beyond this are FailedPrecondition: an int32 does not hold them.
inline constexpr double kLargestSum = 2147483647;

// What codes of a and numbers of b from `least` to `most`, of 16 bits with sign at most, are best
// multiplied as. Numbers -1, 0 and 1 meet codes of one or two bits bit by bit where taps have the
// depth for that to be faster.
Factors FactorsOf(const Codes& src, int least, int most, int64_t depth);

class IntegerGemm {
 public:
  // `src` are a's codes; both factors fit `factors` (FactorsOf, or wider).
  IntegerGemm(const Codes& src, Factors factors, int64_t taps, int64_t depth, int64_t cols);

  // Whether a is read as the bytes that they are; else as what Convert made of them.
  bool reads_bytes() const { return loop_.reads == Factors::kBytes; }
  bool reads_bits() const { return loop_.bits(); }
  // Of a row of a, elements that may be read behind its end.
  static constexpr int64_t kOverread = 4;
  // Bytes of `depth` elements of a as they are read.
  int64_t RowBytes(int64_t depth) const {
    if (reads_bits()) return (depth + 31) / 32 * loop_.a_step_bytes();
    return depth * (reads_bytes() ? 1 : 2);
  }
  // Makes words or bits of rows of `depth` codes, RowBytes(depth) each.
  void Convert(const void* src, int64_t rows, int64_t depth, void* to) const;
  // What Convert writes of `rows` rows, and what may be read behind it.
  int64_t ConvertedBytes(int64_t rows, int64_t depth) const {
    return rows * RowBytes(depth) + kOverread * 2;
  }
  // A row of zero points as it is read, of `bytes` bytes.
  void FillPadding(void* row, int64_t bytes) const;

  // What Pack writes; 64-byte aligned parts.
  int64_t packed_bytes() const;

  // b and, of each column, the scale of its sum and the bias, null where there is none.
  // `weight(col, tap, k)` is a whole number. FailedPrecondition if a sum may not fit.
  template <typename Weight>
  absl::Status Pack(const Weight& weight, const std::function<float(int64_t)>& scale,
                    const float* bias, void* packed, SumBound* bound) {
    std::vector<double> least(cols_), most(cols_);
    std::vector<int64_t> constants(cols_);
    PackFactors(weight, packed, least, most, constants);
    return PackColumns(scale, bias, packed, least, most, constants, bound);
  }

  // Calls body(part) for parts of `rows` rows (tile_parts.h), which are cut at multiples of `unit`.
  template <typename Body>
  void ForParts(int64_t rows, int64_t unit, int64_t macs, const Body& body) const {
    ForTileParts(rows, loop_.rows, unit, blocks(), macs, body);
  }

  // Where results go: row r and column c to dst[r * stride + col + c]; `channel` is that of column
  // 0, for the epilogue.
  struct Result {
    const Epilogue::Loop& epilogue;
    bool stores_bytes;
    void* dst;
    int64_t stride, col, channel;
  };
  // A part of the result. `find_rows(first, count, set)` calls set(r, t, where) for each of some
  // rows and each tap: where row first + r of tap t starts, in bytes or words; null where it is
  // padding. `padding` is then a row of zero points.
  template <typename FindRows>
  void Run(const void* packed, const TilePart& part, const FindRows& find_rows, const void* padding,
           const Result& result) const {
    const void* pointers[kMaxPointers];
    const int64_t chunk = ChunkRows();
    for (int64_t first = part.begin; first < part.end; first += chunk) {
      const int64_t rows = std::min(chunk, part.end - first);
      find_rows(first, rows,
                [&](int64_t r, int64_t t, const void* where) { pointers[t * chunk + r] = where; });
      TilePart here = part;
      here.begin = first;
      here.end = first + rows;
      RunChunk(packed, pointers, padding, chunk, here, result);
    }
  }

  // The results of up to kMostRows rows of sums, kMostRows of them `stride` apart in memory, which
  // started from their offsets: columns [result.col, result.col + cols), the first at `at`.
  static constexpr int64_t kMostRows = 6;
  void Finish(const void* packed, const int32_t* sums, int64_t stride, int64_t rows, int64_t cols,
              const Result& result, int64_t at) const;

  // The most taps that there can be.
  static constexpr int64_t kMaxTaps = 512;

  IntegerIsa isa() const { return loop_.isa; }
  // Rows that the inner loop computes at a time.
  int64_t tile_rows() const { return loop_.rows; }

  // What sums become results by, from a column on.
  struct Columns {
    const int32_t* offset;
    const float *scale, *shift;
    bool in_double;
  };
  Columns ColumnsAt(const void* packed, int64_t col) const;

 private:
  static constexpr int64_t kMaxPointers = 4096;
  static constexpr int64_t kMaxRows = 6;
  // Of a chunk, for the caches: of a, and of pointers to it.
  static constexpr int64_t kChunkBytes = 1 << 18, kChunkPointers = 1024;
  // Of a block of b that all rows of a chunk read: what the second cache holds beside them. Longer
  // ones pass in slices, and the sums of this many rows wait in between.
  static constexpr int64_t kBlockBytes = 3 << 17, kSliceBytes = 1 << 18;
  static constexpr int64_t kSlicedRows = 96;

  int64_t block_bytes() const {
    return taps_ * steps_ * loop_.b_step_bytes() * columns_per_block();
  }
  bool is_sliced() const { return block_bytes() > kBlockBytes; }
  // Rows that pass through all columns before the next ones do. Whole tiles.
  int64_t ChunkRows() const {
    if (is_sliced()) return std::min(kSlicedRows, kMaxPointers / taps_ / kMaxRows * kMaxRows);
    const int64_t fit =
        std::min(kChunkBytes / std::max<int64_t>(RowBytes(depth_), 1), kChunkPointers / taps_);
    return std::min(std::max(fit, 8 * kMaxRows), kMaxPointers / taps_) / kMaxRows * kMaxRows;
  }
  int64_t columns_per_block() const { return loop_.vectors * kTileLanes; }
  int64_t blocks() const { return (cols_ + columns_per_block() - 1) / columns_per_block(); }
  int64_t padded_cols() const { return (cols_ + 63) / 64 * 64; }
  int64_t factor_bytes() const {
    return taps_ * steps_ * loop_.b_step_bytes() *
           ((cols_ + kTileLanes - 1) / kTileLanes * kTileLanes);
  }
  int64_t columns_at() const { return (factor_bytes() + 63) / 64 * 64; }
  // [taps][padded_cols()], what a tap that is padding adds to a sum.
  int64_t paddings_at() const { return columns_at() + 3 * padded_cols() * 4; }
  // Puts a number of b in its place.
  void Put(int64_t tap, int64_t k, int64_t col, int number, void* packed) const {
    const int64_t block = col / columns_per_block(), first = block * columns_per_block();
    const int64_t rest = (cols_ - first + kTileLanes - 1) / kTileLanes * kTileLanes;
    const int64_t width = std::min(columns_per_block(), rest);
    const int64_t step = loop_.depth_step(), row = tap * steps_ + k / step;
    if (reads_bits()) {
      uint32_t* signs = static_cast<uint32_t*>(packed) + taps_ * steps_ * 2 * first +
                        row * 2 * width + (col - first);
      signs[0] |= static_cast<uint32_t>(number > 0) << k % step;
      signs[width] |= static_cast<uint32_t>(number != 0) << k % step;
      return;
    }
    const int64_t at =
        taps_ * steps_ * step * first + (row * width + (col - first)) * step + k % step;
    if (reads_bytes()) {
      static_cast<int8_t*>(packed)[at] = static_cast<int8_t>(number);
    } else {
      static_cast<int16_t*>(packed)[at] = static_cast<int16_t>(number);
    }
  }

  template <typename Weight>
  void PackFactors(const Weight& weight, void* packed, std::vector<double>& least,
                   std::vector<double>& most, std::vector<int64_t>& constants) const {
    std::fill_n(static_cast<char*>(packed), packed_bytes(), 0);
    int32_t* paddings = reinterpret_cast<int32_t*>(static_cast<char*>(packed) + paddings_at());
    const int64_t lost = reads_bits() ? (1 << loop_.planes()) - 1 : 0;  // For each 1: tile.h.
    for (int64_t c = 0; c < cols_; ++c) {
      for (int64_t t = 0; t < taps_; ++t) {
        int64_t total = 0, ones = 0;
        for (int64_t k = 0; k < depth_; ++k) {
          const int w = weight(c, t, k);
          Put(t, k, c, w, packed);
          total += w;
          ones += w == 1;
          const double a = static_cast<double>(w) * src_.least();
          const double b = static_cast<double>(w) * src_.most();
          least[c] += std::min(a, b);
          most[c] += std::max(a, b);
        }
        const int64_t constant = lost * ones - total * src_.zero;
        paddings[t * padded_cols() + c] = static_cast<int32_t>(-constant);
        constants[c] += constant;
      }
    }
  }
  absl::Status PackColumns(const std::function<float(int64_t)>& scale, const float* bias,
                           void* packed, const std::vector<double>& least,
                           const std::vector<double>& most, const std::vector<int64_t>& constants,
                           SumBound* bound);
  // Writes the taps that a tile of `rows` rows reads, in as few runs as they lie in, and puts
  // `padding` into those of its pointers that are null; returns how many runs.
  uint16_t FindTaps(const void** pointers, int64_t stride, int64_t rows, const void* padding,
                    TapRun* runs) const;
  // What a tile's sums start from: the offsets of its columns from `col` on with what the taps that
  // it leaves out add; in `sums` where they are others than `offset`.
  const int32_t* AddPadding(const void* packed, const Tile& tile, int64_t col,
                            const int32_t* offset, int32_t* sums) const;
  // `part` is at most a chunk.
  void RunChunk(const void* packed, const void** pointers, const void* padding, int64_t stride,
                const TilePart& part, const Result& result) const;
  // Taps and steps of depth that all rows of a chunk pass before the next ones.
  struct Slice {
    int64_t begin_tap, end_tap, begin_step, end_step;
  };
  // Of b; all of it where it is not sliced.
  std::vector<Slice> Slices() const;

  const Codes src_;
  const TileLoop loop_;
  const int64_t taps_, depth_, cols_, steps_;
  const std::vector<Slice> slices_;
  bool in_double_ = false;
};

}  // namespace mase

#endif  // MASE_KERNEL_INTEGER_GEMM_H_
