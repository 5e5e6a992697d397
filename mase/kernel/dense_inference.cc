// "dense_chain" in inference: blocks of rows pass through all layers while they are in the L1
// cache, and one row through all of them in one call. Activations are row-major, with rows padded
// to whole vectors, as are the transposed weights and the biases, so that nothing is narrow in
// between.
//
// Every result is one chain of multiply-adds in the order of the depth, from zero, with bias, norm
// and ReLU behind it: what the layers' own kernels compute, to the bit, for any number of rows.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/graph/ops.h"
#include "mase/kernel/dense_kernels.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

constexpr int64_t kLanes = kColumnPadding;
constexpr int64_t kFloatBytes = sizeof(float);

// 64 bytes, in as many registers as the instruction set needs; loads need no alignment.
typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));

// A run "linear? batch norm? ReLU?" of the chain.
struct Stage {
  int64_t in = 0, out = 0;  // Features.
  bool linear = false, norm = false, relu = false;
  double eps = 0;  // The norm's.
  // Positions in KernelArgs::tensors.
  int weight = -1, bias = -1, norm_weight = -1, norm_bias = -1, mean = -1, variance = -1;
  // Places in what Prepare writes: W^T and the bias; the norm's mean, scale and shift.
  int64_t transposed = 0, padded_bias = 0, statistics = 0;

  int64_t stride() const { return PadColumns(out); }  // Of a row of results.
};

// What a product of a stage reads and writes, without anything behind a pointer.
struct Product {
  int64_t depth;
  const float* weight;  // [depth, stride]
  int64_t stride;
  const float* bias;  // [stride]
  bool relu;
};

// Rows x Vectors results, held in registers while walking along the depth.
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void Tile(const Product& p, const float* src, int64_t src_stride,
                                        int64_t col, float* dst) {
  Vector sums[Rows][Vectors] = {};
  const float* weight = p.weight + col;
  for (int64_t k = 0; k < p.depth; ++k, weight += p.stride) {
    Vector columns[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      columns[v] = *reinterpret_cast<const Vector*>(weight + v * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sums[r][v] += src[r * src_stride + k] * columns[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      Vector x = sums[r][v] + *reinterpret_cast<const Vector*>(p.bias + col + v * kLanes);
      if (p.relu) x = x < 0 ? Vector{} : x;
      *reinterpret_cast<Vector*>(dst + r * p.stride + col + v * kLanes) = x;
    }
  }
}

template <int Rows, int Vectors>
[[gnu::always_inline]] inline void Tiles(const Product& p, const float* src, int64_t src_stride,
                                         int64_t rows, int64_t col, float* dst) {
  int64_t r = 0;
  for (; r + Rows <= rows; r += Rows) {
    Tile<Rows, Vectors>(p, src + r * src_stride, src_stride, col, dst + r * p.stride);
  }
  for (; r < rows; ++r) {
    Tile<1, Vectors>(p, src + r * src_stride, src_stride, col, dst + r * p.stride);
  }
}

// Vectors of the widest tile: what fills the registers of AVX-512, and of the others.
template <int kWide>
[[gnu::always_inline]] inline void Multiply(const Product& p, const float* src, int64_t src_stride,
                                            int64_t rows, float* dst) {
  int64_t col = 0;
  if constexpr (kWide == 4) {
    for (; col + 4 * kLanes <= p.stride; col += 4 * kLanes) {
      Tiles<6, 4>(p, src, src_stride, rows, col, dst);
    }
  }
  for (; col + 2 * kLanes <= p.stride; col += 2 * kLanes) {
    Tiles<kWide == 4 ? 8 : 6, 2>(p, src, src_stride, rows, col, dst);
  }
  for (; col < p.stride; col += kLanes) Tiles<8, 1>(p, src, src_stride, rows, col, dst);
}

// A row by itself waits for one multiply-add after the other, so it takes as many columns at a time
// as there are.
[[gnu::always_inline]] inline void MultiplyRow(const Product& p, const float* src, float* dst) {
  int64_t col = 0;
  for (; col + 4 * kLanes <= p.stride; col += 4 * kLanes) Tile<1, 4>(p, src, 0, col, dst);
  for (; col + 2 * kLanes <= p.stride; col += 2 * kLanes) Tile<1, 2>(p, src, 0, col, dst);
  for (; col < p.stride; col += kLanes) Tile<1, 1>(p, src, 0, col, dst);
}

// y = (x - mean) * scale + shift by column, then the ReLU. `statistics` are [3, y_stride].
[[gnu::always_inline]] inline void Normalize(const float* x, int64_t x_stride, int64_t rows,
                                             int64_t cols, const float* statistics, bool relu,
                                             float* y, int64_t y_stride) {
  const float* scale = statistics + y_stride;
  const float* shift = scale + y_stride;
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
    for (int64_t c = 0; c < cols; ++c) {
      const float normal = (x[c] - statistics[c]) * scale[c] + shift[c];
      y[c] = relu ? (normal < 0 ? 0.0f : normal) : normal;
    }
  }
}

[[gnu::always_inline]] inline void CutNegatives(const float* x, int64_t x_stride, int64_t rows,
                                                int64_t cols, float* y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
    for (int64_t c = 0; c < cols; ++c) y[c] = x[c] < 0 ? 0.0f : x[c];
  }
}

// Rows of a block: two matrices of activations fill most of an L1 cache. Whole tiles.
int64_t BlockRows(int64_t widest, int64_t rows) {
  constexpr int64_t kFloats = 9216, kMultiple = 24, kMost = 240;
  const int64_t fit = kFloats / (2 * PadColumns(widest)) / kMultiple * kMultiple;
  return std::min(rows, std::clamp(fit, kMultiple, kMost));
}

// Fewer rows than this go one by one.
constexpr int64_t kFewRows = 6;

// Multiplications that are worth a task.
constexpr int64_t kTaskMacs = 1 << 20;
constexpr int64_t kMaxTasks = 32;

class DenseInferenceKernel final : public Kernel {
 public:
  explicit DenseInferenceKernel(const KernelSpec& spec) : rows_(spec.dst.shape[0]) {
    stages_.push_back({.in = spec.srcs[0].shape[1], .out = spec.srcs[0].shape[1]});
    Add(spec.op, *spec.attributes, spec);
    for (const FusedOp& fused : spec.fused) Add(fused.op, fused.attributes, fused);
    PlaceMemory();
  }

  absl::Status Prepare(const KernelArgs& args) override {
    float* prepared = args.Prepared<float>();
    std::fill_n(prepared, prepared_bytes_ / kFloatBytes, 0.0f);
    for (const Stage& s : stages_) {
      if (s.linear) {
        const float* weight = args.Tensor<float>(s.weight);
        for (int64_t i = 0; i < s.in; ++i) {
          float* row = prepared + s.transposed + i * s.stride();
          for (int64_t o = 0; o < s.out; ++o) row[o] = weight[o * s.in + i];
        }
        if (s.bias >= 0) {
          std::copy_n(args.Tensor<float>(s.bias), s.out, prepared + s.padded_bias);
        }
      }
      float* mean = prepared + s.statistics;
      for (int64_t c = 0; s.norm && c < s.out; ++c) {
        const double gamma =
            s.norm_weight < 0 ? 1.0 : static_cast<double>(args.Tensor<float>(s.norm_weight)[c]);
        mean[c] = args.Tensor<float>(s.mean)[c];
        mean[s.stride() + c] =
            static_cast<float>(gamma / std::sqrt(args.Tensor<float>(s.variance)[c] + s.eps));
        mean[2 * s.stride() + c] = s.norm_bias < 0 ? 0.0f : args.Tensor<float>(s.norm_bias)[c];
      }
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const float* prepared = args.Prepared<float>();
    const float* src = args.Src<float>(0);
    float* dst = args.Dst<float>();
    if (rows_ < kFewRows) {
      ForBestIsa([&] { RunFew(prepared, src, dst, args.Scratch<float>()); });
      return absl::OkStatus();
    }
    ForChunks(rows_, tasks_, [&](int64_t task, int64_t begin, int64_t end) {
      float* scratch = args.Scratch<float>() + task * 2 * matrix_floats_;
      switch (CurrentIsa()) {
        case Isa::kAvx512:
          return RunAvx512([&] { RunBlocks<4>(prepared, begin, end, src, dst, scratch); });
        case Isa::kAvx2:
          return RunAvx2([&] { RunBlocks<2>(prepared, begin, end, src, dst, scratch); });
        case Isa::kBaseline:
          return RunBaseline([&] { RunBlocks<2>(prepared, begin, end, src, dst, scratch); });
      }
    });
    return absl::OkStatus();
  }

 private:
  // One more layer; `tensors`, the spec or one of its fused ops, knows where its tensors are.
  template <typename Op>
  void Add(absl::string_view op, const Attributes& attributes, const Op& tensors) {
    const bool is_linear = op == ops::kLinear, is_norm = op == ops::kBatchNorm1d;
    const Stage& last = stages_.back();
    const bool starts =
        is_linear ? last.linear || last.norm || last.relu : is_norm && (last.norm || last.relu);
    if (starts) stages_.push_back({.in = last.out, .out = last.out});
    Stage& stage = stages_.back();
    if (is_linear) {
      stage.linear = true;
      stage.out = attributes.Int("out_features");
      stage.weight = tensors.TensorIndex("weight");
      stage.bias = tensors.TensorIndex("bias");
    } else if (is_norm) {
      stage.norm = true;
      stage.eps = attributes.Float("eps");
      stage.norm_weight = tensors.TensorIndex("weight");
      stage.norm_bias = tensors.TensorIndex("bias");
      stage.mean = tensors.TensorIndex("running_mean");
      stage.variance = tensors.TensorIndex("running_var");
    } else {
      stage.relu = true;
    }
  }

  void PlaceMemory() {
    int64_t prepared = 0, macs = 0, widest = 1;
    const auto place = [&](int64_t floats) {
      prepared += floats;
      return prepared - floats;
    };
    for (Stage& stage : stages_) {
      if (stage.linear) {
        stage.transposed = place(stage.in * stage.stride());
        stage.padded_bias = place(stage.stride());
      }
      if (stage.norm) stage.statistics = place(3 * stage.stride());
      macs += stage.in * stage.out;
      widest = std::max(widest, stage.out);
    }
    prepared_bytes_ = prepared * kFloatBytes;
    block_rows_ = BlockRows(widest, rows_);
    tasks_ = ChunkCount(rows_ * macs, kTaskMacs, std::min(rows_, kMaxTasks));
    matrix_floats_ = std::max<int64_t>(block_rows_, 1) * PadColumns(widest);
    scratch_bytes_ = tasks_ * 2 * matrix_floats_ * kFloatBytes;
  }

  static Product ProductOf(const Stage& stage, const float* prepared) {
    return {.depth = stage.in,
            .weight = prepared + stage.transposed,
            .stride = stage.stride(),
            .bias = prepared + stage.padded_bias,
            .relu = stage.relu && !stage.norm};
  }

  // What comes behind the product, or instead of it.
  [[gnu::always_inline]] static void Finish(const Stage& stage, const float* prepared,
                                            const float* src, int64_t src_stride, int64_t rows,
                                            float* dst) {
    if (stage.norm) {
      Normalize(src, src_stride, rows, stage.out, prepared + stage.statistics, stage.relu, dst,
                stage.stride());
    } else if (!stage.linear) {
      CutNegatives(src, src_stride, rows, stage.out, dst, stage.stride());
    }
  }

  [[gnu::always_inline]] void RunFew(const float* prepared, const float* src, float* dst,
                                     float* scratch) const {
    const int64_t in = stages_.front().in, out = stages_.back().out;
    for (int64_t r = 0; r < rows_; ++r, src += in, dst += out) {
      const float* row = src;
      float *to = scratch, *spare = scratch + matrix_floats_;
      for (const Stage& stage : stages_) {
        if (stage.linear) {
          const Product product = ProductOf(stage, prepared);
          MultiplyRow(product, row, to);
          row = to;
        }
        if (stage.norm || !stage.linear) Finish(stage, prepared, row, 0, 1, to);
        row = to;
        std::swap(to, spare);
      }
      std::memcpy(dst, row, static_cast<size_t>(out * kFloatBytes));
    }
  }

  template <int kWide>
  [[gnu::always_inline]] void RunBlocks(const float* prepared, int64_t begin, int64_t end,
                                        const float* src, float* dst, float* scratch) const {
    const int64_t in = stages_.front().in, out = stages_.back().out;
    for (int64_t first = begin; first < end; first += block_rows_) {
      const int64_t rows = std::min(block_rows_, end - first);
      const float* block = src + first * in;
      int64_t stride = in;
      float *to = scratch, *spare = scratch + matrix_floats_;
      for (const Stage& stage : stages_) {
        if (stage.linear) {
          const Product product = ProductOf(stage, prepared);
          Multiply<kWide>(product, block, stride, rows, to);
          block = to;
          stride = product.stride;
        }
        Finish(stage, prepared, block, stride, rows, to);
        block = to;
        stride = stage.stride();
        std::swap(to, spare);
      }
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(dst + (first + r) * out, block + r * stride,
                    static_cast<size_t>(out * kFloatBytes));
      }
    }
  }

  const int64_t rows_;
  std::vector<Stage> stages_;
  int64_t block_rows_ = 1, tasks_ = 1, matrix_floats_ = 0;
};

}  // namespace

KernelOr MakeDenseInference(const KernelSpec& spec) { return Make<DenseInferenceKernel>(spec); }

}  // namespace mase
