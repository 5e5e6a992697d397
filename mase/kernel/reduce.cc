// Ops that make one number of those along some axes: mean, sum, amax, amin.
#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "mase/base/limits.h"
#include "mase/kernel/axes.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

enum class Reduction { kMean, kSum, kLargest, kSmallest };

// Sums are kept in double. A NaN is the largest and the smallest of all; equals share the gradient.
template <typename T, Reduction kReduction>
class ReduceKernel : public Kernel {
 public:
  explicit ReduceKernel(const KernelSpec& spec)
      : shape_(spec.srcs[0].shape), results_(spec.dst.elements()) {
    std::vector<bool> reduced(shape_.rank(), false);
    for (const int64_t axis : spec.attributes->Ints("dims")) {
      reduced[FromFront(axis, shape_.rank())] = true;
    }
    strides_.assign(shape_.rank(), 0);
    int64_t stride = 1;
    for (int i = shape_.rank() - 1; i >= 0; --i) {
      if (reduced[i]) {
        count_ *= shape_[i];
      } else {
        strides_[i] = stride;
        stride *= shape_[i];
      }
    }
    scratch_bytes_ = results_ * static_cast<int64_t>(sizeof(double));
    reads_src_ = reads_dst_ = !kSums;
  }

  absl::Status Forward(const KernelArgs& args) override {
    constexpr double kEnd = std::numeric_limits<double>::infinity();
    double* found = args.Scratch<double>();
    std::fill_n(found, results_, kSums ? 0.0 : kReduction == Reduction::kLargest ? -kEnd : kEnd);
    ForElements([&](int64_t src, int64_t dst) { Take(args.Src<T>(0)[src], found[dst]); });
    const double divisor = kReduction == Reduction::kMean ? static_cast<double>(count_) : 1.0;
    for (int64_t i = 0; i < results_; ++i) args.Dst<T>()[i] = static_cast<T>(found[i] / divisor);
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    T* diff_src = args.DiffSrc<T>(0);
    if (diff_src == nullptr) return absl::OkStatus();
    if constexpr (kSums) {
      const T share =
          kReduction == Reduction::kMean ? static_cast<T>(1.0 / static_cast<double>(count_)) : T(1);
      ForElements(
          [&](int64_t src, int64_t dst) { diff_src[src] = args.DiffDst<T>()[dst] * share; });
      return absl::OkStatus();
    }
    double* equals = args.Scratch<double>();
    std::fill_n(equals, results_, 0.0);
    const auto is_found = [&](int64_t src, int64_t dst) {
      return args.Src<T>(0)[src] == args.Dst<T>()[dst];
    };
    ForElements([&](int64_t src, int64_t dst) { equals[dst] += is_found(src, dst); });
    ForElements([&](int64_t src, int64_t dst) {
      diff_src[src] =
          is_found(src, dst) ? static_cast<T>(args.DiffDst<T>()[dst] / equals[dst]) : T(0);
    });
    return absl::OkStatus();
  }

 private:
  static constexpr bool kSums = kReduction == Reduction::kMean || kReduction == Reduction::kSum;

  static void Take(double x, double& found) {
    if constexpr (kSums) {
      found += x;
    } else if (x != x || (kReduction == Reduction::kLargest ? x > found : x < found)) {
      found = x;
    }
  }

  template <typename Body>
  void ForElements(const Body& body) const {
    std::array<int64_t, limits::kMaxTensorRank> index = {};
    int64_t dst = 0;
    const int64_t elements = shape_.elements();
    for (int64_t src = 0; src < elements; ++src) {
      body(src, dst);
      for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
        dst += strides_[axis];
        if (++index[axis] < shape_[axis]) break;
        dst -= strides_[axis] * shape_[axis];
        index[axis] = 0;
      }
    }
  }

  const Shape shape_;
  const int64_t results_;
  int64_t count_ = 1;
  std::vector<int64_t> strides_;  // Of the result, along the input's axes; 0 if reduced.
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      Entry<T, As<ReduceKernel<T, Reduction::kMean>>>("mean"),
      Entry<T, As<ReduceKernel<T, Reduction::kSum>>>("sum"),
      Entry<T, As<ReduceKernel<T, Reduction::kLargest>>>("amax"),
      Entry<T, As<ReduceKernel<T, Reduction::kSmallest>>>("amin"),
  };
};

}  // namespace

std::vector<KernelEntry> ReduceKernels() { return ForInference(kOps); }
std::vector<KernelEntry> ReduceTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
