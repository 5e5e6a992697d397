// Products whose sums float32 might round, and which are to be exact (KernelSpec::sum_bits):
// linear, conv1d, conv2d, matmul and bmm in inference. The depth is cut into chunks of which
// float32 sums are exact in any order, so that the fast products of float32 do the work; the chunks
// are added in double, with the bias, and rounded once. Where a chunk would be too short to be
// worth it (an unrounded bias, whose unit nobody knows) all is added in double. Convolutions copy
// windows into a matrix first.
#include "mase/kernel/exact_sums.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "mase/base/isa.h"
#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/matmul_batch.h"

namespace mase {
namespace {

constexpr int64_t kDoubleBytes = sizeof(double);
constexpr int64_t kFloatBytes = sizeof(float);

// How deep sums are exact in float32; 0: not so deep that it pays. All `depth` products reach
// 2^sum_bits units at most, so 2^(24 - sum_bits) of them reach 2^24.
int64_t ExactDepth(const KernelSpec& spec, int64_t depth) {
  constexpr int64_t kLeast = 32;
  const auto exact =
      static_cast<int64_t>(std::ldexp(static_cast<double>(depth), kFloatBits - spec.sum_bits));
  return exact < kLeast ? 0 : exact;
}

// Of sums in chunks of so many products, 0: in double.
KernelFacts FactsOf(const Gemm<float>& whole, int64_t exact) {
  if (exact == 0) return {.isa = IsaName(CurrentIsa())};
  Gemm<float> chunk = whole;
  chunk.depth = std::min(exact, whole.depth);
  return FactsOfGemm(chunk);
}

// sums = a b in chunks of `exact` products, each computed into `part`, which is as large as sums.
absl::Status AddChunks(const Gemm<float>& whole, int64_t exact, float* part, double* sums) {
  const int64_t count = whole.rows * whole.cols;
  for (int64_t k = 0; k < whole.depth; k += exact) {
    Gemm<float> chunk = whole;
    chunk.depth = std::min(exact, whole.depth - k);
    chunk.a.data += k * whole.a.col_stride;
    chunk.b.data += k * whole.b.row_stride;
    chunk.c = part;
    MASE_RETURN_IF_ERROR(RunGemm<float>(chunk));
    ParallelFor(count, kElementGrain, [&](int64_t begin, int64_t end) {
      if (k == 0) {
        std::copy(part + begin, part + end, sums + begin);
      } else {
        for (int64_t i = begin; i < end; ++i) sums[i] += part[i];
      }
    });
  }
  return absl::OkStatus();
}

void Round(const double* sums, int64_t count, float* dst) {
  ParallelFor(count, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dst[i] = static_cast<float>(sums[i]);
  });
}

class ExactLinearKernel final : public Kernel {
 public:
  explicit ExactLinearKernel(const KernelSpec& spec)
      : in_(spec.attributes->Int("in_features")),
        out_(spec.attributes->Int("out_features")),
        rows_(spec.dst.elements() / std::max<int64_t>(out_, 1)),
        exact_(ExactDepth(spec, in_)),
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        relu_(!spec.fused.empty()) {
    if (exact_ > 0) {
      scratch_bytes_ = rows_ * out_ * (kDoubleBytes + kFloatBytes);
      return;
    }
    prepared_bytes_ = (in_ * PadColumns(out_) + out_) * kDoubleBytes;
    scratch_bytes_ = rows_ * (in_ + out_) * kDoubleBytes;
  }

  KernelFacts facts() const override { return FactsOf(Whole(nullptr, nullptr), exact_); }

  absl::Status Prepare(const KernelArgs& args) override {
    if (exact_ > 0) return absl::OkStatus();
    const int64_t stride = PadColumns(out_);
    double* prepared = args.Prepared<double>();
    std::fill_n(prepared, in_ * stride, 0.0);
    for (int64_t o = 0; o < out_; ++o) {
      for (int64_t i = 0; i < in_; ++i) {
        prepared[i * stride + o] = args.Tensor<float>(weight_)[o * in_ + i];
      }
      prepared[in_ * stride + o] = bias_ < 0 ? 0.0 : args.Tensor<float>(bias_)[o];
    }
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    return exact_ > 0 ? ForwardInChunks(args) : ForwardInDouble(args);
  }

 private:
  Gemm<float> Whole(const float* src, const float* weight) const {
    return {.rows = rows_,
            .cols = out_,
            .depth = in_,
            .a = RowMajor(src, in_),
            .b = Transposed(weight, in_),
            .c = nullptr};
  }

  absl::Status ForwardInChunks(const KernelArgs& args) {
    double* sums = args.Scratch<double>();
    MASE_RETURN_IF_ERROR(AddChunks(Whole(args.Src<float>(0), args.Tensor<float>(weight_)), exact_,
                                   reinterpret_cast<float*>(sums + rows_ * out_), sums));
    const float* bias = bias_ < 0 ? nullptr : args.Tensor<float>(bias_);
    float* dst = args.Dst<float>();
    ParallelFor(rows_, kElementGrain / (out_ + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * out_; i < end * out_; ++i) {
        const auto sum = static_cast<float>(sums[i] + (bias == nullptr ? 0.0 : bias[i % out_]));
        dst[i] = relu_ && sum < 0 ? 0 : sum;
      }
    });
    return absl::OkStatus();
  }

  absl::Status ForwardInDouble(const KernelArgs& args) {
    double* src = args.Scratch<double>();
    double* sums = src + rows_ * in_;
    std::copy_n(args.Src<float>(0), rows_ * in_, src);
    const int64_t stride = PadColumns(out_);
    MASE_RETURN_IF_ERROR(RunGemm<double>({.rows = rows_,
                                          .cols = out_,
                                          .depth = in_,
                                          .a = RowMajor<double>(src, in_),
                                          .b = RowMajor<double>(args.Prepared<double>(), stride),
                                          .c = sums,
                                          .bias = args.Prepared<double>() + in_ * stride,
                                          .relu = relu_,
                                          .b_is_padded = true}));
    Round(sums, rows_ * out_, args.Dst<float>());
    return absl::OkStatus();
  }

  const int64_t in_, out_, rows_, exact_;
  const int weight_, bias_;
  const bool relu_;
};

class ExactMatmulKernel final : public Kernel {
 public:
  explicit ExactMatmulKernel(const KernelSpec& spec)
      : ExactMatmulKernel(spec,
                          WholeProduct(spec.srcs[0].shape, spec.srcs[1].shape, spec.dst.shape)) {}

  KernelFacts facts() const override { return FactsOf(Whole(nullptr, nullptr), exact_); }

  absl::Status Forward(const KernelArgs& args) override {
    if (exact_ > 0) return ForwardInChunks(args);
    double* a = args.Scratch<double>();
    double* b = a + elements_[0];
    double* sums = b + elements_[1];
    std::copy_n(args.Src<float>(0), elements_[0], a);
    std::copy_n(args.Src<float>(1), elements_[1], b);
    float* dst = args.Dst<float>();
    for (const BatchEntry& entry : batch_) {
      MASE_RETURN_IF_ERROR(
          RunGemm<double>({.rows = rows_,
                           .cols = cols_,
                           .depth = depth_,
                           .a = RowMajor<double>(a + entry.a * rows_ * depth_, depth_),
                           .b = RowMajor<double>(b + entry.b * depth_ * cols_, cols_),
                           .c = sums}));
      Round(sums, rows_ * cols_, dst);
      dst += rows_ * cols_;
    }
    return absl::OkStatus();
  }

 private:
  ExactMatmulKernel(const KernelSpec& spec, const Shape& dst)
      : rows_(dst[-2]),
        cols_(dst[-1]),
        depth_(spec.srcs[0].shape[-1]),
        exact_(ExactDepth(spec, depth_)),
        elements_{spec.srcs[0].elements(), spec.srcs[1].elements()},
        batch_(BroadcastBatch(spec.srcs[0].shape, spec.srcs[1].shape, dst)) {
    scratch_bytes_ = exact_ > 0 ? rows_ * cols_ * (kDoubleBytes + kFloatBytes)
                                : (elements_[0] + elements_[1] + rows_ * cols_) * kDoubleBytes;
  }

  // Of one entry of the batch.
  Gemm<float> Whole(const float* a, const float* b) const {
    return {.rows = rows_,
            .cols = cols_,
            .depth = depth_,
            .a = RowMajor(a, depth_),
            .b = RowMajor(b, cols_),
            .c = nullptr};
  }

  absl::Status ForwardInChunks(const KernelArgs& args) {
    double* sums = args.Scratch<double>();
    auto* part = reinterpret_cast<float*>(sums + rows_ * cols_);
    float* dst = args.Dst<float>();
    for (const BatchEntry& entry : batch_) {
      MASE_RETURN_IF_ERROR(AddChunks(Whole(args.Src<float>(0) + entry.a * rows_ * depth_,
                                           args.Src<float>(1) + entry.b * depth_ * cols_),
                                     exact_, part, sums));
      Round(sums, rows_ * cols_, dst);
      dst += rows_ * cols_;
    }
    return absl::OkStatus();
  }

  const int64_t rows_, cols_, depth_, exact_;
  const int64_t elements_[2];
  const std::vector<BatchEntry> batch_;
};

// Columns are positions of all samples, one behind the other: deep in a net, where images are a few
// pixels, the samples make the products wide. A block of them passes at a time, so that windows and
// sums stay in the cache.
class ExactConvKernel final : public Kernel {
 public:
  explicit ExactConvKernel(const KernelSpec& spec)
      : g_(spec),
        outputs_(g_.out_channels / g_.groups),
        depth_(g_.in_channels / g_.groups * g_.kernel[0] * g_.kernel[1]),
        positions_(g_.out[0] * g_.out[1]),
        columns_(g_.batch * positions_),
        exact_(ExactDepth(spec, depth_)),
        block_(std::min(BlockColumns(depth_), std::max<int64_t>(columns_, 1))),
        blocks_((columns_ + block_ - 1) / block_),
        tasks_(ChunkCount(columns_ * g_.weight_elements(), kTaskMacs,
                          std::clamp<int64_t>(g_.groups * blocks_, 1, kMaxTasks))) {
    const int64_t windows = depth_ * block_, sums = outputs_ * block_;
    if (exact_ == 0) prepared_bytes_ = g_.out_channels * depth_ * kDoubleBytes;
    task_bytes_ =
        (sums + windows) * kFloatBytes + (exact_ > 0 ? sums : sums + windows) * kDoubleBytes;
    task_bytes_ = (task_bytes_ + kLine - 1) / kLine * kLine;
    scratch_bytes_ = tasks_ * task_bytes_;
  }

  KernelFacts facts() const override { return FactsOf(Whole(nullptr, nullptr, block_), exact_); }

  absl::Status Prepare(const KernelArgs& args) override {
    if (exact_ > 0) return absl::OkStatus();
    std::copy_n(args.Tensor<float>(g_.weight), g_.out_channels * depth_, args.Prepared<double>());
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    absl::Status statuses[kMaxTasks];
    ForChunks(g_.groups * blocks_, tasks_, [&](int64_t task, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end && statuses[task].ok(); ++i) {
        const int64_t first = i % blocks_ * block_;
        statuses[task] = RunBlock(args, i / blocks_, first, std::min(block_, columns_ - first),
                                  args.Scratch<char>() + task * task_bytes_);
      }
    });
    for (const absl::Status& status : statuses) MASE_RETURN_IF_ERROR(status);
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kTaskMacs = 1 << 20;  // Multiplications that are worth a task.
  static constexpr int64_t kMaxTasks = 16;
  static constexpr int64_t kLine = 64;  // Bytes.

  // Of windows that fill half of an L2 cache.
  static int64_t BlockColumns(int64_t depth) {
    constexpr int64_t kFloats = 1 << 18, kLeast = 64, kMost = 512;
    return std::clamp(kFloats / std::max<int64_t>(depth, 1) / 16 * 16, kLeast, kMost);
  }

  // Few columns are rows of a product with all outputs, as those of a linear layer.
  bool ByRows(int64_t columns) const {
    constexpr int64_t kFew = 16;
    return exact_ > 0 && columns < kFew;
  }

  // Of `count` columns of one group.
  Gemm<float> Whole(const float* weight, const float* windows, int64_t count) const {
    Gemm<float> product = {.rows = outputs_,
                           .cols = count,
                           .depth = depth_,
                           .a = RowMajor(weight, depth_),
                           .b = RowMajor(windows, count),
                           .c = nullptr};
    if (ByRows(count)) {
      std::swap(product.rows, product.cols);
      product.a = RowMajor(windows, depth_);
      product.b = Transposed(weight, depth_);
    }
    return product;
  }

  // `count` columns from `first` on, of one group.
  absl::Status RunBlock(const KernelArgs& args, int64_t group, int64_t first, int64_t count,
                        char* scratch) const {
    auto* sums = reinterpret_cast<double*>(scratch);
    double* behind = sums + outputs_ * count;
    const int64_t weights = group * outputs_ * depth_;
    if (exact_ > 0) {
      auto* part = reinterpret_cast<float*>(behind);
      float* windows = part + outputs_ * count;
      CopyWindows(args.Src<float>(0), group, first, count, windows);
      MASE_RETURN_IF_ERROR(AddChunks(Whole(args.Tensor<float>(g_.weight) + weights, windows, count),
                                     exact_, part, sums));
    } else {
      double* windows = behind;
      auto* narrow = reinterpret_cast<float*>(windows + depth_ * count);
      CopyWindows(args.Src<float>(0), group, first, count, narrow);
      std::copy_n(narrow, depth_ * count, windows);
      MASE_RETURN_IF_ERROR(
          RunGemm<double>({.rows = outputs_,
                           .cols = count,
                           .depth = depth_,
                           .a = RowMajor<double>(args.Prepared<double>() + weights, depth_),
                           .b = RowMajor<double>(windows, count),
                           .c = sums}));
    }
    const bool by_rows = ByRows(count);
    const int64_t of_output = by_rows ? 1 : count, of_column = by_rows ? outputs_ : 1;
    for (int64_t c = 0; c < count;) {
      const int64_t sample = (first + c) / positions_, position = (first + c) % positions_;
      const int64_t run = std::min(positions_ - position, count - c);
      for (int64_t o = 0; o < outputs_; ++o) {
        const int64_t output = group * outputs_ + o;
        const double bias = g_.bias < 0 ? 0.0 : args.Tensor<float>(g_.bias)[output];
        const double* from = sums + o * of_output + c * of_column;
        float* dst =
            args.Dst<float>() + (sample * g_.out_channels + output) * positions_ + position;
        for (int64_t i = 0; i < run; ++i) dst[i] = static_cast<float>(from[i * of_column] + bias);
      }
      c += run;
    }
    return absl::OkStatus();
  }

  // What each weight of an output is multiplied with, in each column.
  void CopyWindows(const float* src, int64_t group, int64_t first, int64_t count,
                   float* windows) const {
    const int64_t channels = g_.in_channels / g_.groups, plane = g_.in[0] * g_.in[1];
    const bool by_rows = ByRows(count);
    const int64_t next_weight = by_rows ? 1 : count, next_column = by_rows ? depth_ : 1;
    for (int64_t c = 0; c < count;) {
      // Those of one row of one sample.
      const int64_t sample = (first + c) / positions_, position = (first + c) % positions_;
      const int64_t row = position / g_.out[1], column = position % g_.out[1];
      const int64_t run = std::min(g_.out[1] - column, count - c);
      const float* from = src + (sample * g_.in_channels + group * channels) * plane;
      float* to = windows + c * next_column;
      for (int64_t channel = 0; channel < channels; ++channel, from += plane) {
        for (int64_t down = 0; down < g_.kernel[0]; ++down) {
          const int64_t y = row * g_.stride[0] + down * g_.dilation[0] - g_.padding[0];
          const float* pixels = y >= 0 && y < g_.in[0] ? from + y * g_.in[1] : nullptr;
          for (int64_t right = 0; right < g_.kernel[1]; ++right, to += next_weight) {
            const int64_t x = column * g_.stride[1] + right * g_.dilation[1] - g_.padding[1];
            CopyPixels(pixels, x, run, next_column, to);
          }
        }
      }
      c += run;
    }
  }

  // Every stride-th pixel of the row from x on, zeros beyond its ends; of no row zeros. Each goes
  // `step` behind the one before.
  void CopyPixels(const float* row, int64_t x, int64_t count, int64_t step, float* to) const {
    const int64_t stride = g_.stride[1], width = g_.in[1];
    int64_t begin = count, end = count;  // Of what is in the row.
    if (row != nullptr && x < width) {
      begin = std::min(count, x < 0 ? (-x + stride - 1) / stride : 0);
      end = std::clamp((width - x + stride - 1) / stride, begin, count);
    }
    if (step == 1 && stride == 1) {
      std::fill_n(to, begin, 0.0f);
      if (begin < end) std::copy(row + x + begin, row + x + end, to + begin);
      std::fill(to + end, to + count, 0.0f);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      to[i * step] = i >= begin && i < end ? row[x + i * stride] : 0.0f;
    }
  }

  const ConvGeometry g_;
  const int64_t outputs_, depth_, positions_, columns_, exact_;
  const int64_t block_, blocks_, tasks_;  // Columns of a block; how many blocks a group has.
  int64_t task_bytes_ = 0;
};

}  // namespace

KernelOr MakeExactLinear(const KernelSpec& spec) {
  return std::make_unique<ExactLinearKernel>(spec);
}
KernelOr MakeExactMatmul(const KernelSpec& spec) {
  return std::make_unique<ExactMatmulKernel>(spec);
}
KernelOr MakeExactConv(const KernelSpec& spec) { return std::make_unique<ExactConvKernel>(spec); }

}  // namespace mase
