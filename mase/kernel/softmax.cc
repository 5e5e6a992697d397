// softmax along one axis, and dropout in training.
#include <algorithm>
#include <cmath>

#include "mase/kernel/kernels.h"
#include "mase/kernel/parallel.h"

namespace mase {
namespace {

// The tensor is [outer, extent, inner] around the axis.
template <typename T>
class SoftmaxKernel final : public Kernel<T> {
 public:
  explicit SoftmaxKernel(const KernelSpec& spec) {
    const Shape& shape = spec.dst;
    const int64_t dim = spec.attributes->Int("dim");
    const int axis = static_cast<int>(dim < 0 ? dim + shape.rank() : dim);
    for (int i = 0; i < shape.rank(); ++i) {
      (i < axis ? outer_ : i == axis ? extent_ : inner_) *= shape[i];
    }
    this->has_backward_ = true;
    this->reads_dst_ = true;
    this->in_place_ = true;
  }

  absl::Status Forward(const KernelArgs<T>& args) override {
    ForLines([&](int64_t first) {
      const T* src = args.srcs[0] + first;
      T* dst = args.dst + first;
      T largest = src[0];
      for (int64_t i = 1; i < extent_; ++i) largest = std::max(largest, src[i * inner_]);
      T sum = 0;
      for (int64_t i = 0; i < extent_; ++i) {
        const T power = std::exp(src[i * inner_] - largest);
        dst[i * inner_] = power;
        sum += power;
      }
      for (int64_t i = 0; i < extent_; ++i) dst[i * inner_] /= sum;
    });
    return absl::OkStatus();
  }

  // dx = y (dy - sum dy y)
  absl::Status Backward(const BackwardArgs<T>& args) override {
    if (args.diff_srcs[0] == nullptr) return absl::OkStatus();
    ForLines([&](int64_t first) {
      const T* dst = args.dst + first;
      const T* diff_dst = args.diff_dst + first;
      T sum = 0;
      for (int64_t i = 0; i < extent_; ++i) sum += diff_dst[i * inner_] * dst[i * inner_];
      for (int64_t i = 0; i < extent_; ++i) {
        args.diff_srcs[0][first + i * inner_] = dst[i * inner_] * (diff_dst[i * inner_] - sum);
      }
    });
    return absl::OkStatus();
  }

 private:
  template <typename Body>
  void ForLines(const Body& body) const {
    if (extent_ == 0) return;
    ParallelFor(outer_ * inner_, 4096 / extent_ + 1, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        body(line / inner_ * extent_ * inner_ + line % inner_);
      }
    });
  }

  int64_t outer_ = 1, extent_ = 1, inner_ = 1;
};

// y = x mask / (1 - p), the mask being a pure function of (seed, element), so that it is the same
// for any number of threads.
template <typename T>
class DropoutKernel final : public Kernel<T> {
 public:
  explicit DropoutKernel(const KernelSpec& spec)
      : p_(spec.attributes->Float("p")), elements_(spec.dst.elements()) {
    this->src_layouts_ = {spec.srcs[0].layout};
    this->dst_layout_ = spec.srcs[0].layout;
    this->has_backward_ = true;
    this->in_place_ = true;
    this->workspace_elements_ = elements_;  // 0 or 1 / (1 - p).
  }

  absl::Status Forward(const KernelArgs<T>& args) override {
    const T kept = p_ < 1 ? static_cast<T>(1 / (1 - p_)) : T(0);
    // A 32-bit draw below this drops the element; p = 1 drops all.
    const uint64_t threshold = static_cast<uint64_t>(std::ceil(p_ * 4294967296.0));
    ParallelFor(elements_, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T mask = Mix(args.seed + static_cast<uint64_t>(i)) < threshold ? T(0) : kept;
        args.workspace[i] = mask;
        args.dst[i] = args.srcs[0][i] * mask;
      }
    });
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs<T>& args) override {
    if (args.diff_srcs[0] == nullptr) return absl::OkStatus();
    for (int64_t i = 0; i < elements_; ++i) {
      args.diff_srcs[0][i] = args.diff_dst[i] * args.workspace[i];
    }
    return absl::OkStatus();
  }

 private:
  // The top half of SplitMix64's output for a counter.
  static uint64_t Mix(uint64_t x) {
    x *= 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (x ^ (x >> 31)) >> 32;
  }

  const double p_;
  const int64_t elements_;
};

}  // namespace

template <typename T>
std::vector<KernelEntry<T>> SoftmaxKernels() {
  return {
      {"softmax", Make<T, SoftmaxKernel<T>>},
      {"dropout", Make<T, DropoutKernel<T>>},
  };
}

template std::vector<KernelEntry<float>> SoftmaxKernels();
template std::vector<KernelEntry<double>> SoftmaxKernels();

}  // namespace mase
