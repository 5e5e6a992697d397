// softmax along one axis, and its logarithm.
#include <algorithm>
#include <cmath>

#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

// The tensor is [outer, extent, inner] around the axis.
template <typename T, bool kLog>
class SoftmaxKernel : public Kernel {
 public:
  explicit SoftmaxKernel(const KernelSpec& spec) {
    const Shape& shape = spec.dst.shape;
    const int64_t dim = spec.attributes->Int("dim");
    const int axis = static_cast<int>(dim < 0 ? dim + shape.rank() : dim);
    for (int i = 0; i < shape.rank(); ++i) {
      (i < axis ? outer_ : i == axis ? extent_ : inner_) *= shape[i];
    }
    reads_dst_ = true;
    in_place_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    ForLines([&](int64_t first) {
      const T* src = args.Src<T>(0) + first;
      T* dst = args.Dst<T>() + first;
      T largest = src[0];
      for (int64_t i = 1; i < extent_; ++i) largest = std::max(largest, src[i * inner_]);
      T sum = 0;
      if constexpr (kLog) {
        for (int64_t i = 0; i < extent_; ++i) sum += std::exp(src[i * inner_] - largest);
        const T log_sum = std::log(sum);
        for (int64_t i = 0; i < extent_; ++i) {
          dst[i * inner_] = src[i * inner_] - largest - log_sum;
        }
        return;
      }
      for (int64_t i = 0; i < extent_; ++i) {
        const T power = std::exp(src[i * inner_] - largest);
        dst[i * inner_] = power;
        sum += power;
      }
      for (int64_t i = 0; i < extent_; ++i) dst[i * inner_] /= sum;
    });
    return absl::OkStatus();
  }

  // dx = y (dy - sum dy y); of the logarithm, dx = dy - e^y sum dy.
  absl::Status Gradient(const BackwardArgs& args) {
    if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
    ForLines([&](int64_t first) {
      const T* dst = args.Dst<T>() + first;
      const T* diff_dst = args.DiffDst<T>() + first;
      T* diff_src = args.DiffSrc<T>(0) + first;
      T sum = 0;
      for (int64_t i = 0; i < extent_; ++i) {
        sum += kLog ? diff_dst[i * inner_] : diff_dst[i * inner_] * dst[i * inner_];
      }
      for (int64_t i = 0; i < extent_; ++i) {
        const T y = dst[i * inner_], diff = diff_dst[i * inner_];
        diff_src[i * inner_] = kLog ? diff - std::exp(y) * sum : y * (diff - sum);
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

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<SoftmaxKernel<T, false>>>("softmax"),
      Entry<T, As<SoftmaxKernel<T, true>>>("log_softmax"),
  };
};

}  // namespace

std::vector<KernelEntry> SoftmaxKernels() { return ForInference(kOps); }
std::vector<KernelEntry> SoftmaxTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
