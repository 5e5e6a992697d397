// Products whose sums float32 might round, and which are to be exact (KernelSpec::sum_bits):
// linear, conv1d, conv2d, matmul and bmm in inference. The depth is cut into chunks of which
// float32 sums are exact in any order, so that the fast products of float32 do the work; the chunks
// are added in double, with the bias, and rounded once. Where a chunk would be too short to be
// worth it (an unrounded bias, whose unit nobody knows) all is added in double. Convolutions copy
// the windows of a sample into a matrix first.
#include "mase/kernel/exact_sums.h"

#include <algorithm>
#include <cmath>
#include <memory>
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
  if (exact == 0) return {.isa = std::string(IsaName(CurrentIsa()))};
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

class ExactConvKernel final : public Kernel {
 public:
  explicit ExactConvKernel(const KernelSpec& spec)
      : g_(spec),
        depth_(g_.in_channels / g_.groups * g_.kernel[0] * g_.kernel[1]),
        positions_(g_.out[0] * g_.out[1]),
        exact_(ExactDepth(spec, depth_)) {
    const int64_t sums = g_.out_channels / g_.groups * positions_;
    if (exact_ > 0) {
      scratch_bytes_ = sums * kDoubleBytes + (sums + depth_ * positions_) * kFloatBytes;
      return;
    }
    prepared_bytes_ = g_.out_channels * depth_ * kDoubleBytes;
    scratch_bytes_ = (depth_ * positions_ + sums) * kDoubleBytes;
  }

  KernelFacts facts() const override { return FactsOf(Whole(nullptr, nullptr), exact_); }

  absl::Status Prepare(const KernelArgs& args) override {
    if (exact_ > 0) return absl::OkStatus();
    std::copy_n(args.Tensor<float>(g_.weight), g_.out_channels * depth_, args.Prepared<double>());
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const int64_t outputs = g_.out_channels / g_.groups;
    double* sums = args.Scratch<double>();
    double* windows = sums + outputs * positions_;
    auto* part = reinterpret_cast<float*>(windows);
    float* float_windows = part + outputs * positions_;
    for (int64_t i = 0; i < g_.batch * g_.groups; ++i) {
      const int64_t group = i % g_.groups;
      const int64_t weights = group * outputs * depth_;
      const float* src =
          args.Src<float>(0) + i * (g_.in_channels / g_.groups) * g_.in[0] * g_.in[1];
      if (exact_ > 0) {
        CopyWindows(src, float_windows);
        MASE_RETURN_IF_ERROR(AddChunks(
            Whole(args.Tensor<float>(g_.weight) + weights, float_windows), exact_, part, sums));
      } else {
        CopyWindows(src, windows);
        MASE_RETURN_IF_ERROR(
            RunGemm<double>({.rows = outputs,
                             .cols = positions_,
                             .depth = depth_,
                             .a = RowMajor<double>(args.Prepared<double>() + weights, depth_),
                             .b = RowMajor<double>(windows, positions_),
                             .c = sums}));
      }
      for (int64_t o = 0; o < outputs; ++o) {
        const double bias = g_.bias < 0 ? 0.0 : args.Tensor<float>(g_.bias)[group * outputs + o];
        float* dst = args.Dst<float>() + (i * outputs + o) * positions_;
        for (int64_t p = 0; p < positions_; ++p) {
          dst[p] = static_cast<float>(sums[o * positions_ + p] + bias);
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  // Of one group of one sample.
  Gemm<float> Whole(const float* weight, const float* windows) const {
    return {.rows = g_.out_channels / g_.groups,
            .cols = positions_,
            .depth = depth_,
            .a = RowMajor(weight, depth_),
            .b = RowMajor(windows, positions_),
            .c = nullptr};
  }

  // A row for each weight of an output, with what it is multiplied with at each position.
  template <typename T>
  void CopyWindows(const float* src, T* windows) const {
    const int64_t taps = g_.kernel[0] * g_.kernel[1];
    ParallelFor(depth_, kElementGrain / (positions_ + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const float* plane = src + k / taps * g_.in[0] * g_.in[1];
        const int64_t tap = k % taps;
        const int64_t down = tap / g_.kernel[1] * g_.dilation[0] - g_.padding[0];
        const int64_t right = tap % g_.kernel[1] * g_.dilation[1] - g_.padding[1];
        T* to = windows + k * positions_;
        for (int64_t row = 0; row < g_.out[0]; ++row, to += g_.out[1]) {
          const int64_t y = row * g_.stride[0] + down;
          if (y < 0 || y >= g_.in[0]) {
            std::fill_n(to, g_.out[1], T{0});
            continue;
          }
          for (int64_t column = 0; column < g_.out[1]; ++column) {
            const int64_t x = column * g_.stride[1] + right;
            to[column] = x >= 0 && x < g_.in[1] ? plane[y * g_.in[1] + x] : 0.0f;
          }
        }
      }
    });
  }

  const ConvGeometry g_;
  const int64_t depth_, positions_, exact_;
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
