#include "mase/kernel/integer/gemm.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/power_of_two.h"

namespace mase {
namespace {

constexpr int64_t kMaxColumns = 64, kMaxTileRows = IntegerGemm::kMostRows;
// float32 holds whole numbers up to this.
constexpr double kExactFloat = 16777216;

// Elements of a tap from which on bits are faster than bytes, of which a step has four.
constexpr int64_t kDeepForBits = 96;

// Planes of 32 codes in turn, with zeros behind the last one.
[[gnu::target(MASE_TARGET_AVX512)]] void SplitBits(const uint8_t* codes, int64_t depth, int planes,
                                                   uint32_t* words) {
  for (int64_t k = 0; k < depth; k += 64) {
    const int64_t rest = std::min<int64_t>(depth - k, 64);
    const __m512i bytes =
        _mm512_maskz_loadu_epi8(rest == 64 ? ~uint64_t{0} : (uint64_t{1} << rest) - 1, codes + k);
    uint64_t plane[2];
    for (int p = 0; p < planes; ++p) {
      plane[p] = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(static_cast<char>(1 << p)));
    }
    for (int p = 0; p < planes; ++p) *words++ = static_cast<uint32_t>(plane[p]);
    if (rest <= 32) return;
    for (int p = 0; p < planes; ++p) *words++ = static_cast<uint32_t>(plane[p] >> 32);
  }
}

typedef double Doubles __attribute__((vector_size(128)));

[[gnu::always_inline]] inline EpilogueFloats InDouble(EpilogueInts sum, EpilogueFloats scale,
                                                      EpilogueFloats shift) {
  EpilogueFloats x;
  for (int i = 0; i < kTileLanes; ++i) {
    x[i] = static_cast<float>(static_cast<double>(sum[i]) * static_cast<double>(scale[i]) +
                              static_cast<double>(shift[i]));
  }
  return x;
}

// The results of rows of sums, `stride` apart, of which the first `rows` are stored, the first of
// them at `at`. What sums beyond those are does not matter, but they are read.
template <int kRows>
[[gnu::always_inline]] inline void FinishRows(const int32_t* sums, int64_t stride, int rows,
                                              const IntegerGemm::Columns& columns, int64_t cols,
                                              const IntegerGemm::Result& result, int64_t at) {
  const Epilogue::Loop loop = result.epilogue;  // What is stored may not change it.
  for (int64_t c = 0; c < cols; c += kTileLanes) {
    const EpilogueFloats scale = *reinterpret_cast<const EpilogueFloats*>(columns.scale + c);
    const EpilogueFloats shift = *reinterpret_cast<const EpilogueFloats*>(columns.shift + c);
    EpilogueFloats x[kRows];
    const auto sum = [&](int r) {
      return *reinterpret_cast<const EpilogueInts*>(sums + r * stride + c);
    };
    if (columns.in_double) {
      EpilogueFloats rows_in_double[kRows];
#pragma GCC unroll 1
      for (int r = 0; r < kRows; ++r) rows_in_double[r] = InDouble(sum(r), scale, shift);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) x[r] = rows_in_double[r];
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        x[r] = __builtin_convertvector(sum(r), EpilogueFloats) * scale + shift;
      }
    }
    loop.Apply<true>(x, result.channel + c);
    loop.Store(x, rows, result.dst, at + c, result.stride, cols - c, result.stores_bytes);
  }
}

// The same of up to kMaxTileRows rows, of which as many are read.
void FinishSums(const int32_t* sums, int64_t stride, int64_t rows,
                const IntegerGemm::Columns& columns, int64_t cols,
                const IntegerGemm::Result& result, int64_t at) {
  // Only AVX-512 has the registers to finish several rows at a time.
  if (CurrentIsa() == Isa::kAvx512 && rows > 1) {
    return RunAvx512([&] {
      FinishRows<kMaxTileRows>(sums, stride, static_cast<int>(rows), columns, cols, result, at);
    });
  }
  for (int64_t row = 0; row < rows; ++row) {
    ForBestIsa([&] {
      FinishRows<1>(sums + row * stride, 0, 1, columns, cols, result, at + row * result.stride);
    });
  }
}

}  // namespace

int SumBound::bits() const {
  int bits = 1;
  while (least < -std::ldexp(1.0, bits - 1) || most > std::ldexp(1.0, bits - 1) - 1) ++bits;
  return bits;
}

void SumBound::Include(double from, double to) {
  least = std::min(least, from);
  most = std::max(most, to);
}

void SumBound::Include(const SumBound& other) {
  Include(other.least, other.most);
  if (bias == DType::kInt32 || other.bias == DType::kFloat64) bias = other.bias;
}

Factors FactorsOf(const Codes& src, int least, int most, int64_t depth) {
  if (!src.is_byte() || least < -128 || most > 127) return Factors::kWords;
  if (least < -1 || most > 1 || src.hi > 3 || depth < kDeepForBits) return Factors::kBytes;
  return src.hi > 1 ? Factors::kTwoBits : Factors::kOneBit;
}

IntegerGemm::IntegerGemm(const Codes& src, Factors factors, int64_t taps, int64_t depth,
                         int64_t cols)
    : src_(src),
      loop_(ChooseTileLoop(CurrentIntegerIsa(), factors)),
      taps_(taps),
      depth_(depth),
      cols_(cols),
      steps_((depth + loop_.depth_step() - 1) / loop_.depth_step()),
      slices_(Slices()) {}

std::vector<IntegerGemm::Slice> IntegerGemm::Slices() const {
  if (!is_sliced()) return {{0, taps_, 0, steps_}};
  const int64_t fit = kSliceBytes / (loop_.b_step_bytes() * columns_per_block());  // Steps.
  // Of whole taps, or of one.
  const int64_t taps = std::max<int64_t>(fit / steps_, 1);
  const int64_t steps = taps_ == 1 ? fit : steps_;
  std::vector<Slice> slices;
  for (int64_t tap = 0; tap < taps_; tap += taps) {
    for (int64_t step = 0; step < steps_; step += steps) {
      slices.push_back({tap, std::min(tap + taps, taps_), step, std::min(step + steps, steps_)});
    }
  }
  return slices;
}

int64_t IntegerGemm::packed_bytes() const { return paddings_at() + taps_ * padded_cols() * 4; }

void IntegerGemm::FillPadding(void* row, int64_t bytes) const {
  if (reads_bytes()) {
    std::memset(row, src_.zero, static_cast<size_t>(bytes));
  } else if (reads_bits()) {
    const int planes = loop_.planes();
    for (int64_t i = 0; i < bytes / 4; ++i) {
      static_cast<uint32_t*>(row)[i] = src_.zero >> i % planes & 1 ? ~uint32_t{0} : 0;
    }
  } else {
    std::fill_n(static_cast<int16_t*>(row), bytes / 2, static_cast<int16_t>(src_.zero));
  }
}

void IntegerGemm::Convert(const void* src, int64_t rows, int64_t depth, void* to) const {
  if (reads_bits()) {
    ParallelFor(rows, kElementGrain / (depth + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        SplitBits(static_cast<const uint8_t*>(src) + row * depth, depth, loop_.planes(),
                  reinterpret_cast<uint32_t*>(static_cast<char*>(to) + row * RowBytes(depth)));
      }
    });
    return;
  }
  const int64_t elements = rows * depth;
  int16_t* words = static_cast<int16_t*>(to);
  const bool bytes = src_.is_byte();
  ParallelFor(elements, kElementGrain, [&](int64_t begin, int64_t end) {
    ForBestIsa([=] {
      if (bytes) {
        const uint8_t* from = static_cast<const uint8_t*>(src);
        for (int64_t i = begin; i < end; ++i) words[i] = from[i];
      } else {
        const int32_t* from = static_cast<const int32_t*>(src);
        for (int64_t i = begin; i < end; ++i) words[i] = static_cast<int16_t>(from[i]);
      }
    });
  });
}

absl::Status IntegerGemm::PackColumns(const std::function<float(int64_t)>& scale, const float* bias,
                                      void* packed, const std::vector<double>& least,
                                      const std::vector<double>& most,
                                      const std::vector<int64_t>& constants, SumBound* bound) {
  char* columns = static_cast<char*>(packed) + columns_at();
  int32_t* offset = reinterpret_cast<int32_t*>(columns);
  float* scales = reinterpret_cast<float*>(columns) + padded_cols();
  float* shifts = scales + padded_cols();
  in_double_ = false;
  for (int64_t c = 0; c < cols_; ++c) {
    if (least[c] < -kLargestSum || most[c] > kLargestSum) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "output %d: its sum may be %.0f to %.0f, an int32 holds 2147483647; take narrower codes "
          "for input or weight, or run it simulated",
          c, least[c], most[c]));
    }
    scales[c] = scale(c);
    double whole = 0;  // The bias in units of the sum.
    bool is_whole = true;
    if (bias != nullptr) {
      if (!std::isfinite(bias[c])) {
        return absl::OutOfRangeError(absl::StrCat("bias ", c, " is ", bias[c]));
      }
      whole = static_cast<double>(bias[c]) / scales[c];
      is_whole = IsPowerOfTwo(scales[c]) && whole == std::nearbyint(whole) &&
                 least[c] + whole >= -kLargestSum && most[c] + whole <= kLargestSum;
      if (!is_whole) {
        shifts[c] = bias[c];
        // The float32 product and sum are exact but for the sum's rounding.
        in_double_ |=
            IsPowerOfTwo(scales[c]) && (least[c] <= -kExactFloat || most[c] >= kExactFloat);
        whole = 0;
      }
    }
    offset[c] =
        static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(whole) + constants[c]));
    const DType type = is_whole ? DType::kInt32 : in_double_ ? DType::kFloat64 : DType::kFloat32;
    bound->Include({least[c] + whole, most[c] + whole, type});
    bound->Include(least[c], most[c]);
  }
  return absl::OkStatus();
}

void IntegerGemm::Finish(const void* packed, const int32_t* sums, int64_t stride, int64_t rows,
                         int64_t cols, const Result& result, int64_t at) const {
  FinishSums(sums, stride, rows, ColumnsAt(packed, result.col), cols, result, at);
}

IntegerGemm::Columns IntegerGemm::ColumnsAt(const void* packed, int64_t col) const {
  const char* columns = static_cast<const char*>(packed) + columns_at();
  const float* scales = reinterpret_cast<const float*>(columns) + padded_cols();
  return {reinterpret_cast<const int32_t*>(columns) + col, scales + col,
          scales + padded_cols() + col, in_double_};
}

uint16_t IntegerGemm::FindTaps(const void** pointers, int64_t stride, int64_t rows,
                               const void* padding, TapRun* runs) const {
  const int64_t tap_bytes = steps_ * loop_.a_step_bytes();
  uint16_t found = 0;
  for (int64_t tap = 0; tap < taps_; ++tap) {
    const void** row = pointers + tap * stride;
    bool is_read = false;
    for (int64_t r = 0; r < rows; ++r) is_read |= row[r] != nullptr;
    if (!is_read) continue;
    for (int64_t r = 0; r < rows; ++r) row[r] = row[r] == nullptr ? padding : row[r];
    // Slices are of single taps.
    bool goes_on =
        found > 0 && slices_.size() == 1 && runs[found - 1].first + runs[found - 1].count == tap;
    for (int64_t r = 0; goes_on && r < rows; ++r) {
      goes_on = row[r] == static_cast<const char*>(row[r - stride]) + tap_bytes;
    }
    if (goes_on) {
      ++runs[found - 1].count;
    } else {
      runs[found++] = {static_cast<uint16_t>(tap), 1};
    }
  }
  return found;
}

const int32_t* IntegerGemm::AddPadding(const void* packed, const Tile& tile, int64_t col,
                                       const int32_t* offset, int32_t* sums) const {
  if (src_.zero == 0 && !reads_bits()) return offset;
  const int64_t cols = tile.vectors * kTileLanes;
  const int32_t* paddings =
      reinterpret_cast<const int32_t*>(static_cast<const char*>(packed) + paddings_at()) + col;
  const int32_t* from = offset;
  int64_t tap = 0;
  const auto leave_out = [&](int64_t end) {
    for (; tap < end; ++tap, from = sums) {
      for (int64_t c = 0; c < cols; ++c) {
        sums[c] = static_cast<int32_t>(static_cast<uint32_t>(from[c]) +
                                       static_cast<uint32_t>(paddings[tap * padded_cols() + c]));
      }
    }
  };
  for (int64_t i = 0; i < tile.run_count; ++i) {
    leave_out(tile.runs[i].first);
    tap += tile.runs[i].count;
  }
  leave_out(taps_);
  return from;
}

void IntegerGemm::RunChunk(const void* packed, const void** pointers, const void* padding,
                           int64_t stride, const TilePart& part, const Result& result) const {
  // Of all tiles only where they wait for the next slice.
  alignas(64) int32_t all_sums[kSlicedRows * kMaxColumns];
  alignas(64) int32_t offset[kMaxColumns];
  TapRun runs[kMaxPointers];
  uint16_t run_counts[kMaxPointers];
  const int64_t rows = part.end - part.begin, tile_sums = loop_.rows * columns_per_block();
  const int64_t kept = slices_.size() > 1 ? (rows + loop_.rows - 1) / loop_.rows : 1;
  // Rows that a last tile has not are finished, too, and not stored.
  std::fill_n(all_sums, std::max(kept * tile_sums, kMaxTileRows * kMaxColumns), 0);
  for (int64_t r = 0, tile = 0; r < rows; r += loop_.rows, ++tile) {
    run_counts[tile] = FindTaps(pointers + r, stride, std::min<int64_t>(loop_.rows, rows - r),
                                padding, runs + tile * taps_);
  }
  const bool finishes = loop_.finishes && !in_double_ && result.epilogue.is_short() &&
                        result.epilogue.stores_codes == result.stores_bytes;
  const int64_t element = result.stores_bytes ? 1 : 4;
  const char* factors = static_cast<const char*>(packed);
  for (int64_t block = part.begin_block; block < part.end_block; ++block) {
    const int64_t col = block * columns_per_block();
    const int64_t cols = std::min(columns_per_block(), cols_ - col);
    const Columns columns = ColumnsAt(packed, col);
    Result there = result;
    there.channel += col;
    TileResult whole = {
        .scale = columns.scale,
        .shift = columns.shift,
        .norm = result.epilogue.has_only_norm() ? result.epilogue.norms + there.channel : nullptr,
        .norm_stride = result.epilogue.stride,
        .rounder = result.epilogue.stores_codes ? &result.epilogue.rounder : nullptr,
        .stride = result.stride * element};
    Tile tile = {.vectors = static_cast<int>((cols + kTileLanes - 1) / kTileLanes),
                 .a_stride = stride,
                 .steps = steps_,
                 .b = factors + taps_ * steps_ * loop_.b_step_bytes() * col};
    for (size_t s = 0; s < slices_.size(); ++s) {
      const Slice& slice = slices_[s];
      const bool is_last = s + 1 == slices_.size();
      tile.begin_step = slice.begin_step;
      tile.end_step = slice.end_step;
      for (int64_t r = 0, i = 0; r < rows; r += loop_.rows, ++i) {
        const TapRun* const first = runs + i * taps_;
        const TapRun* const last = first + run_counts[i];
        tile.rows = static_cast<int>(std::min<int64_t>(loop_.rows, rows - r));
        tile.a = pointers + r;
        tile.sums = all_sums + (kept > 1 ? i * tile_sums : 0);
        tile.runs = first;
        tile.run_count = run_counts[i];
        tile.offset = s > 0 ? nullptr : AddPadding(packed, tile, col, columns.offset, offset);
        if (slices_.size() > 1) {
          const auto from = [&](int64_t tap) {
            return std::lower_bound(first, last, tap,
                                    [](const TapRun& run, int64_t tap) { return run.first < tap; });
          };
          tile.runs = from(slice.begin_tap);
          tile.run_count = from(slice.end_tap) - tile.runs;
        }
        const int64_t at = (part.begin + r) * result.stride + result.col + col;
        const bool is_whole = tile.rows == loop_.rows && cols == columns_per_block();
        tile.result = finishes && is_last && is_whole ? &whole : nullptr;
        whole.dst = static_cast<char*>(result.dst) + at * element;
        loop_.run(tile);
        if (!is_last || tile.result != nullptr) continue;
        FinishSums(tile.sums, tile.vectors * kTileLanes, tile.rows, columns, cols, there, at);
      }
    }
  }
}

}  // namespace mase
