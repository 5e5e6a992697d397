// linear: y = x W^T + b over the last axis, W [out, in], and in inference a relu behind it; matmul
// and bmm: batched products.
#include <algorithm>

#include "mase/base/status_macros.h"
#include "mase/kernel/bfloat16.h"
#include "mase/kernel/exact_sums.h"
#include "mase/kernel/gemm.h"
#include "mase/kernel/kernels.h"
#include "mase/kernel/matmul_batch.h"

namespace mase {
namespace {

int64_t RoundUp(int64_t n) { return (n + 15) / 16 * 16; }

template <typename T>
class LinearKernel : public Kernel {
 public:
  explicit LinearKernel(const KernelSpec& spec)
      : in_(spec.attributes->Int("in_features")),
        out_(spec.attributes->Int("out_features")),
        rows_(in_ == 0 ? spec.dst.elements() / std::max<int64_t>(out_, 1)
                       : spec.srcs[0].elements() / in_),
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        transposes_(PrefersRowMajorB<T>(out_, in_)),
        bfloat16_(spec.bfloat16),
        relu_(!spec.fused.empty()),
        any_order_(std::is_same_v<T, float> && spec.sum_bits > 0 && !NeedsExactSums(spec)),
        transposed_(bfloat16_ ? RoundUp(in_ * out_) : 0) {
    prepared_bytes_ = (transposed_ + (transposes_ ? in_ * PadColumns(out_) : 0)) * kBytes;
    reads_src_ = !bfloat16_;
    if (bfloat16_) {
      workspace_bytes_ = rows_ * in_ * kBytes;  // The rounded input.
      if (spec.training) scratch_bytes_ = rows_ * out_ * kBytes;
    }
  }

  // The rounded W, and W^T with padded rows, so that the product runs along neighbouring outputs.
  absl::Status Prepare(const KernelArgs& args) override {
    T* prepared = args.Prepared<T>();
    const T* weight = ProductOperand(bfloat16_, in_ * out_, args.Tensor<T>(weight_), prepared);
    if (!transposes_) return absl::OkStatus();
    prepared += transposed_;
    const int64_t stride = PadColumns(out_);
    for (int64_t i = 0; i < in_; ++i) {
      T* row = prepared + i * stride;
      for (int64_t o = 0; o < out_; ++o) row[o] = weight[o * in_ + i];
      std::fill(row + out_, row + stride, T(0));
    }
    return absl::OkStatus();
  }

  KernelFacts facts() const override { return FactsOfGemm(Product(nullptr, nullptr)); }

  absl::Status Forward(const KernelArgs& args) override {
    Gemm<T> product =
        Product(ProductOperand(bfloat16_, rows_ * in_, args.Src<T>(0), args.Workspace<T>()),
                transposes_ ? args.Prepared<T>() + transposed_ : Weight(args));
    product.c = args.Dst<T>();
    if (bias_ >= 0) product.bias = args.Tensor<T>(bias_);
    return RunGemm(product);
  }

  absl::Status Gradient(const BackwardArgs& args) {
    const T* diff_dst =
        ProductOperand(bfloat16_, rows_ * out_, args.DiffDst<T>(), args.Scratch<T>());
    if (args.DiffSrc<T>(0) != nullptr) {
      MASE_RETURN_IF_ERROR(RunGemm<T>({.rows = rows_,
                                       .cols = in_,
                                       .depth = out_,
                                       .a = RowMajor(diff_dst, out_),
                                       .b = RowMajor<T>(Weight(args), in_),
                                       .c = args.DiffSrc<T>(0)}));
    }
    if (T* diff_weight = args.DiffTensor<T>(weight_); diff_weight != nullptr) {
      MASE_RETURN_IF_ERROR(
          RunGemm<T>({.rows = out_,
                      .cols = in_,
                      .depth = rows_,
                      .a = Transposed(diff_dst, out_),
                      .b = RowMajor(bfloat16_ ? args.Workspace<T>() : args.Src<T>(0), in_),
                      .c = diff_weight}));
    }
    if (bias_ >= 0 && args.DiffTensor<T>(bias_) != nullptr) {
      ColumnSums(diff_dst, rows_, out_, args.DiffTensor<T>(bias_));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kBytes = sizeof(T);

  Gemm<T> Product(const T* src, const T* weight) const {
    return {.rows = rows_,
            .cols = out_,
            .depth = in_,
            .a = RowMajor(src, in_),
            .b = transposes_ ? RowMajor(weight, PadColumns(out_)) : Transposed(weight, in_),
            .c = nullptr,
            .relu = relu_,
            .any_order = any_order_,
            .b_is_padded = transposes_};
  }

  const T* Weight(const KernelArgs& args) const {
    return bfloat16_ ? args.Prepared<T>() : args.Tensor<T>(weight_);
  }

  const int64_t in_, out_, rows_;
  const int weight_, bias_;
  const bool transposes_, bfloat16_, relu_, any_order_;
  const int64_t transposed_;  // Where W^T starts in what Prepare writes.
};

template <typename T>
class MatmulKernel : public Kernel {
 public:
  explicit MatmulKernel(const KernelSpec& spec)
      : MatmulKernel(spec, WholeProduct(spec.srcs[0].shape, spec.srcs[1].shape, spec.dst.shape)) {}

  MatmulKernel(const KernelSpec& spec, const Shape& dst)
      : rows_(dst[-2]),
        cols_(dst[-1]),
        depth_(spec.srcs[0].shape[-1]),
        elements_{spec.srcs[0].elements(), spec.srcs[1].elements()},
        batch_(BroadcastBatch(spec.srcs[0].shape, spec.srcs[1].shape, dst)),
        bfloat16_(spec.bfloat16) {
    reads_src_ = !bfloat16_;
    if (bfloat16_) {
      workspace_bytes_ = (RoundUp(elements_[0]) + elements_[1]) * kBytes;  // The rounded inputs.
      if (spec.training) scratch_bytes_ = spec.dst.elements() * kBytes;
    }
  }

  KernelFacts facts() const override { return FactsOfGemm(Product(nullptr, nullptr, nullptr)); }

  absl::Status Forward(const KernelArgs& args) override {
    T* dst = args.Dst<T>();
    const T* all_a = ProductOperand(bfloat16_, elements_[0], args.Src<T>(0), args.Workspace<T>());
    const T* all_b =
        ProductOperand(bfloat16_, elements_[1], args.Src<T>(1),
                       bfloat16_ ? args.Workspace<T>() + RoundUp(elements_[0]) : nullptr);
    for (const BatchEntry& entry : batch_) {
      MASE_RETURN_IF_ERROR(RunGemm(
          Product(all_a + entry.a * rows_ * depth_, all_b + entry.b * depth_ * cols_, dst)));
      dst += rows_ * cols_;
    }
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    for (int i = 0; i < 2; ++i) {
      if (args.DiffSrc<T>(i) != nullptr) std::fill_n(args.DiffSrc<T>(i), elements_[i], T(0));
    }
    const T* diff_dst =
        ProductOperand(bfloat16_, rows_ * cols_ * static_cast<int64_t>(batch_.size()),
                       args.DiffDst<T>(), args.Scratch<T>());
    const T* all_a = bfloat16_ ? args.Workspace<T>() : args.Src<T>(0);
    const T* all_b = bfloat16_ ? args.Workspace<T>() + RoundUp(elements_[0]) : args.Src<T>(1);
    for (const BatchEntry& entry : batch_) {
      const T* a = all_a + entry.a * rows_ * depth_;
      const T* b = all_b + entry.b * depth_ * cols_;
      if (args.DiffSrc<T>(0) != nullptr) {
        MASE_RETURN_IF_ERROR(RunGemm<T>({.rows = rows_,
                                         .cols = depth_,
                                         .depth = cols_,
                                         .a = RowMajor(diff_dst, cols_),
                                         .b = Transposed(b, cols_),
                                         .c = args.DiffSrc<T>(0) + entry.a * rows_ * depth_,
                                         .accumulate = true}));
      }
      if (args.DiffSrc<T>(1) != nullptr) {
        MASE_RETURN_IF_ERROR(RunGemm<T>({.rows = depth_,
                                         .cols = cols_,
                                         .depth = rows_,
                                         .a = Transposed(a, depth_),
                                         .b = RowMajor(diff_dst, cols_),
                                         .c = args.DiffSrc<T>(1) + entry.b * depth_ * cols_,
                                         .accumulate = true}));
      }
      diff_dst += rows_ * cols_;
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kBytes = sizeof(T);

  // Of one entry of the batch.
  Gemm<T> Product(const T* a, const T* b, T* c) const {
    return {.rows = rows_,
            .cols = cols_,
            .depth = depth_,
            .a = RowMajor(a, depth_),
            .b = RowMajor(b, cols_),
            .c = c};
  }

  const int64_t rows_, cols_, depth_;
  const int64_t elements_[2];
  const std::vector<BatchEntry> batch_;
  const bool bfloat16_;
};

template <typename T, template <typename> class As>
KernelOr MakeLinear(const KernelSpec& spec) {
  if (std::is_same_v<T, float> && NeedsExactSums(spec)) return MakeExactLinear(spec);
  return std::make_unique<As<LinearKernel<T>>>(spec);
}

template <typename T, template <typename> class As>
KernelOr MakeMatmul(const KernelSpec& spec) {
  if (std::is_same_v<T, float> && NeedsExactSums(spec)) return MakeExactMatmul(spec);
  return std::make_unique<As<MatmulKernel<T>>>(spec);
}

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      {"linear", DTypeOf<T>::value, MakeLinear<T, As>},
      {"linear_relu", DTypeOf<T>::value, MakeLinear<T, As>},
      {"matmul", DTypeOf<T>::value, MakeMatmul<T, As>},
      {"bmm", DTypeOf<T>::value, MakeMatmul<T, As>},
  };
};

}  // namespace

std::vector<KernelEntry> LinearKernels() { return ForInference(kOps); }
std::vector<KernelEntry> LinearTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
