// Products whose sums float32 might round, and which are to be exact (KernelSpec::sum_bits):
// linear, conv1d, conv2d, matmul and bmm in inference. Sums run in double, bias included, and are
// rounded once. Convolutions copy the windows of a sample into a matrix first.
#include "mase/kernel/exact_sums.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "mase/base/parallel.h"
#include "mase/base/status_macros.h"
#include "mase/kernel/conv_geometry.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/matmul_batch.h"

namespace mase {
namespace {

constexpr int64_t kDoubleBytes = sizeof(double);

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
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        relu_(!spec.fused.empty()) {
    prepared_bytes_ = (in_ * PadColumns(out_) + out_) * kDoubleBytes;
    scratch_bytes_ = rows_ * (in_ + out_) * kDoubleBytes;
  }

  absl::Status Prepare(const KernelArgs& args) override {
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

 private:
  const int64_t in_, out_, rows_;
  const int weight_, bias_;
  const bool relu_;
};

class ExactMatmulKernel final : public Kernel {
 public:
  explicit ExactMatmulKernel(const KernelSpec& spec)
      : ExactMatmulKernel(spec,
                          WholeProduct(spec.srcs[0].shape, spec.srcs[1].shape, spec.dst.shape)) {}

  absl::Status Forward(const KernelArgs& args) override {
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
        elements_{spec.srcs[0].elements(), spec.srcs[1].elements()},
        batch_(BroadcastBatch(spec.srcs[0].shape, spec.srcs[1].shape, dst)) {
    scratch_bytes_ = (elements_[0] + elements_[1] + rows_ * cols_) * kDoubleBytes;
  }

  const int64_t rows_, cols_, depth_;
  const int64_t elements_[2];
  const std::vector<BatchEntry> batch_;
};

class ExactConvKernel final : public Kernel {
 public:
  explicit ExactConvKernel(const KernelSpec& spec)
      : g_(spec),
        depth_(g_.in_channels / g_.groups * g_.kernel[0] * g_.kernel[1]),
        positions_(g_.out[0] * g_.out[1]) {
    prepared_bytes_ = g_.out_channels * depth_ * kDoubleBytes;
    scratch_bytes_ = (depth_ + g_.out_channels / g_.groups) * positions_ * kDoubleBytes;
  }

  absl::Status Prepare(const KernelArgs& args) override {
    std::copy_n(args.Tensor<float>(g_.weight), g_.out_channels * depth_, args.Prepared<double>());
    return absl::OkStatus();
  }

  absl::Status Forward(const KernelArgs& args) override {
    const int64_t outputs = g_.out_channels / g_.groups;
    double* windows = args.Scratch<double>();
    double* sums = windows + depth_ * positions_;
    for (int64_t i = 0; i < g_.batch * g_.groups; ++i) {
      const int64_t group = i % g_.groups;
      CopyWindows(args.Src<float>(0) + i * (g_.in_channels / g_.groups) * g_.in[0] * g_.in[1],
                  windows);
      MASE_RETURN_IF_ERROR(RunGemm<double>(
          {.rows = outputs,
           .cols = positions_,
           .depth = depth_,
           .a = RowMajor<double>(args.Prepared<double>() + group * outputs * depth_, depth_),
           .b = RowMajor<double>(windows, positions_),
           .c = sums}));
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
  // A row for each weight of an output, with what it is multiplied with at each position.
  void CopyWindows(const float* src, double* windows) const {
    const int64_t taps = g_.kernel[0] * g_.kernel[1];
    ParallelFor(depth_, kElementGrain / (positions_ + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const float* plane = src + k / taps * g_.in[0] * g_.in[1];
        const int64_t tap = k % taps;
        double* to = windows + k * positions_;
        for (int64_t p = 0; p < positions_; ++p) {
          const int64_t y =
              p / g_.out[1] * g_.stride[0] - g_.padding[0] + tap / g_.kernel[1] * g_.dilation[0];
          const int64_t x =
              p % g_.out[1] * g_.stride[1] - g_.padding[1] + tap % g_.kernel[1] * g_.dilation[1];
          const bool inside = y >= 0 && y < g_.in[0] && x >= 0 && x < g_.in[1];
          to[p] = inside ? static_cast<double>(plane[y * g_.in[1] + x]) : 0.0;
        }
      }
    });
  }

  const ConvGeometry g_;
  const int64_t depth_, positions_;
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
