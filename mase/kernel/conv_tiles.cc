#include "mase/kernel/conv_tiles.h"

#include <algorithm>
#include <memory>

#include "mase/base/isa.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/conv_norm.h"
#include "mase/kernel/conv_windows.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/tile_parts.h"

namespace mase {
namespace {

// Up to so many results of a channel; beyond that Winograd's and oneDNN's loops are as fast.
constexpr int64_t kMaxRows = 256;
constexpr int64_t kMaxTaps = 49;

constexpr int64_t kLanes = 16, kTileRows = 6, kBlock = 64;
// Rows whose sums wait while a slice of the weights, which the second cache holds, passes all.
constexpr int64_t kChunkRows = 22 * kTileRows, kSliceBytes = 1 << 18;

typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));

struct Tile {
  const float* const* a;  // [taps][kChunkRows], of the taps that are computed.
  const uint8_t* taps;    // Which those are, from begin_tap to end_tap.
  int64_t begin_tap, end_tap, depth;
  const float* b;  // [all taps][depth][columns]
  float* sums;     // [rows][kBlock]
  bool adds;
};

template <int kRows, int kVectors>
[[gnu::always_inline]] inline void RunTile(const Tile& tile) {
  constexpr int64_t kPrefetch = 1024;
  Vector sums[kRows][kVectors] = {};
  if (tile.adds) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = *reinterpret_cast<const Vector*>(tile.sums + r * kBlock + v * kLanes);
      }
    }
  }
  for (int64_t tap = tile.begin_tap; tap < tile.end_tap; ++tap) {
    const float* a[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) a[r] = tile.a[tap * kChunkRows + r];
    const float* b = tile.b + tile.taps[tap] * tile.depth * kVectors * kLanes;
    for (int64_t k = 0; k < tile.depth; ++k, b += kVectors * kLanes) {
      Vector columns[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        if (kRows < kTileRows) __builtin_prefetch(b + kPrefetch + v * kLanes);
        columns[v] = *reinterpret_cast<const Vector*>(b + v * kLanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        // Less a zero, which changes no number: to add one would turn -0, and take an instruction.
        const Vector row = a[r][k] - Vector{};
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) sums[r][v] += row * columns[v];
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<Vector*>(tile.sums + r * kBlock + v * kLanes) = sums[r][v];
    }
  }
}

template <int kVectors>
[[gnu::always_inline]] inline void RunRows(const Tile& tile, int64_t rows) {
  switch (rows) {
    case 1:
      return RunTile<1, kVectors>(tile);
    case 2:
      return RunTile<2, kVectors>(tile);
    case 3:
      return RunTile<3, kVectors>(tile);
    case 4:
      return RunTile<4, kVectors>(tile);
    case 5:
      return RunTile<5, kVectors>(tile);
    default:
      return RunTile<6, kVectors>(tile);
  }
}

void RunAnyTile(const Tile& tile, int64_t rows, int64_t columns) {
  RunAvx512([&] { return columns == kBlock ? RunRows<4>(tile, rows) : RunRows<1>(tile, rows); });
}

class TiledConvKernel final : public Kernel {
 public:
  explicit TiledConvKernel(const KernelSpec& spec)
      : g_(spec),
        norm_(spec),
        windows_(g_),
        taps_(windows_.taps()),
        depth_(g_.in_channels),
        rows_(g_.batch * windows_.positions()) {
    best_isa_ = true;
    src_layouts_ = {Layout::kChannelsLast};
    dst_layout_ = Layout::kChannelsLast;
    const int64_t copies = norm_.present ? 2 : 1;
    prepared_bytes_ = (copies * g_.weight_elements() + g_.out_channels + depth_) * kFloatBytes;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    float* packed = args.Prepared<float>();
    float* bias = packed + g_.weight_elements();
    float* padding = bias + g_.out_channels;
    const float* weights = args.Tensor<float>(g_.weight);
    std::fill_n(bias, g_.out_channels + depth_, 0.0f);
    if (norm_.present) {
      float* own_weights = padding + depth_;
      norm_.Fold(g_, args, bias, own_weights);
      weights = own_weights;
    } else if (g_.bias >= 0) {
      std::copy_n(args.Tensor<float>(g_.bias), g_.out_channels, bias);
    }
    const int64_t per_output = depth_ * taps_;
    for (int64_t o = 0; o < g_.out_channels; ++o) {
      const int64_t block = BlockOf(o);
      float* to = packed + FirstColumn(block) * per_output + (o - FirstColumn(block));
      for (int64_t tap = 0; tap < taps_; ++tap) {
        for (int64_t i = 0; i < depth_; ++i, to += Columns(block)) {
          *to = weights[o * per_output + i * taps_ + tap];
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const float* src = args.Src<float>(0);
    const int64_t macs = rows_ * g_.weight_elements();
    ForTileParts(rows_, kTileRows, kTileRows, BlockOf(g_.out_channels), macs,
                 [&](const TilePart& part) {
                   for (int64_t first = part.begin; first < part.end; first += kChunkRows) {
                     TilePart chunk = part;
                     chunk.begin = first;
                     chunk.end = std::min(part.end, first + kChunkRows);
                     RunChunk(src, args.Prepared<float>(), chunk, args.Dst<float>());
                   }
                 });
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kFloatBytes = sizeof(float);

  // Columns come in blocks of kBlock, what is left in such of kLanes.
  int64_t WholeBlocks() const { return g_.out_channels / kBlock; }
  int64_t BlockOf(int64_t column) const {
    const int64_t block = column / kBlock;
    return block < WholeBlocks() ? block : block + column % kBlock / kLanes;
  }
  int64_t Columns(int64_t block) const { return block < WholeBlocks() ? kBlock : kLanes; }
  int64_t FirstColumn(int64_t block) const {
    return std::min(block, WholeBlocks()) * kBlock +
           std::max<int64_t>(block - WholeBlocks(), 0) * kLanes;
  }

  void RunChunk(const float* src, const float* prepared, const TilePart& chunk, float* dst) const {
    const float* a[kMaxTaps * kChunkRows];
    alignas(64) float sums[kChunkRows * kBlock];
    const int64_t rows = chunk.end - chunk.begin;
    uint8_t taps[kMaxTaps];
    const float* bias = prepared + g_.weight_elements();
    const int64_t count = FindRows(src, bias + g_.out_channels, chunk.begin, rows, a, taps);
    for (int64_t block = chunk.begin_block; block < chunk.end_block; ++block) {
      const int64_t columns = Columns(block), col = FirstColumn(block);
      const int64_t slice = std::max<int64_t>(kSliceBytes / (depth_ * columns * kFloatBytes), 1);
      Tile tile = {.taps = taps, .depth = depth_, .b = prepared + col * taps_ * depth_};
      for (int64_t tap = 0; tap < count; tap += slice) {
        tile.begin_tap = tap;
        tile.end_tap = std::min(tap + slice, count);
        tile.adds = tap > 0;
        for (int64_t r = 0; r < rows; r += kTileRows) {
          tile.a = a + r;
          tile.sums = sums + r * kBlock;
          RunAnyTile(tile, std::min(kTileRows, rows - r), columns);
        }
      }
      Finish(sums, bias + col, rows, columns, dst + chunk.begin * g_.out_channels + col);
    }
  }

  // Where the rows of each tap lie that is not padding for all of them; returns how many those are.
  int64_t FindRows(const float* src, const float* padding, int64_t first, int64_t rows,
                   const float** a, uint8_t* taps) const {
    windows_.ForRows(first, rows, [&](int64_t r, int64_t tap, int64_t pixel) {
      a[tap * kChunkRows + r] = pixel < 0 ? padding : src + pixel * depth_;
    });
    int64_t count = 0;
    for (int64_t tap = 0; tap < taps_; ++tap) {
      const float** const from = a + tap * kChunkRows;
      const auto is_read = [=](const float* row) { return row != padding; };
      // One is kept in any case, to start the sums.
      if (!std::any_of(from, from + rows, is_read) && (count > 0 || tap + 1 < taps_)) continue;
      std::copy_n(from, rows, a + count * kChunkRows);
      taps[count++] = static_cast<uint8_t>(tap);
    }
    return count;
  }

  void Finish(const float* sums, const float* bias, int64_t rows, int64_t columns,
              float* dst) const {
    const bool relu = norm_.relu;
    const int64_t stride = g_.out_channels;
    RunAvx512([=] {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const float x = sums[r * kBlock + c] + bias[c];
          dst[r * stride + c] = relu && x < 0 ? 0 : x;
        }
      }
    });
  }

  const ConvGeometry g_;
  const ConvNorm norm_;
  const Windows windows_;
  const int64_t taps_, depth_, rows_;
};

}  // namespace

bool PrefersTiles(const KernelSpec& spec) {
  const ConvGeometry g(spec);
  const int64_t taps = g.kernel[0] * g.kernel[1], rows = g.batch * g.out[0] * g.out[1];
  return !spec.training && !spec.bfloat16 && CurrentIsa() == Isa::kAvx512 && g.groups == 1 &&
         rows > 0 && rows <= kMaxRows && taps <= kMaxTaps && g.out_channels % kLanes == 0 &&
         g.in_channels % kLanes == 0;
}

KernelOr MakeTiledConv(const KernelSpec& spec) { return std::make_unique<TiledConvKernel>(spec); }

}  // namespace mase
