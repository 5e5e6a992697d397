// layer_norm, rms_norm, group_norm, instance_norm2d: each row of contiguous elements is brought to
// mean 0 and variance 1, then scaled and shifted.
//
//   layer_norm       a row is the trailing normalized_shape; weight and bias per element of it
//   rms_norm         the same about 0: the mean is not taken out, and there is no bias
//   group_norm       a row is a group of channels of one sample; weight and bias per channel
//   instance_norm2d  group_norm with one channel a group; may track running statistics
//
// y = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance. Sums are kept in
// double.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "mase/base/parallel.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

bool IsOverTrailingAxes(absl::string_view op) { return op == "layer_norm" || op == "rms_norm"; }

// How a tensor falls into rows, and a row into segments that share a weight.
struct RowSpace {
  int64_t rows = 1;
  int64_t length = 1;   // Of a row.
  int64_t segment = 1;  // Elements of a row that share a weight.
  int64_t weights = 1;  // Number of weights; segments of successive rows walk through them.

  explicit RowSpace(const KernelSpec& spec) {
    const Shape& shape = spec.dst.shape;
    if (IsOverTrailingAxes(spec.op)) {
      const int first =
          shape.rank() - static_cast<int>(spec.attributes->Ints("normalized_shape").size());
      for (int i = 0; i < shape.rank(); ++i) (i < first ? rows : length) *= shape[i];
      weights = length;
      return;
    }
    weights = shape[1];
    for (int i = 2; i < shape.rank(); ++i) segment *= shape[i];
    const int64_t groups = spec.op == "group_norm" ? spec.attributes->Int("num_groups") : weights;
    rows = shape[0] * groups;
    length = groups == 0 ? 0 : weights / groups * segment;
  }
  // The weight of element i of a row.
  int64_t weight(int64_t row, int64_t i) const {
    return (row * (length / segment) + i / segment) % weights;
  }
};

template <typename T>
class RowNormKernel : public Kernel {
 public:
  template <typename K>  // This, or it with its gradient.
  static KernelOr Create(const KernelSpec& spec) {
    const bool tracked = spec.TensorIndex("running_mean") >= 0;
    if (tracked && !spec.training) {
      // Running statistics make it an affine map per channel: batch_norm2d in inference.
      KernelSpec affine = spec;
      affine.op = "batch_norm2d";
      return CreateKernel(affine);
    }
    auto kernel = std::make_unique<K>(spec);
    if (!IsOverTrailingAxes(spec.op) && kernel->space_.length == 1 && spec.training) {
      return absl::InvalidArgumentError(absl::StrCat("statistics of one value per channel (input ",
                                                     spec.dst.shape.ToString(), ")"));
    }
    return kernel;
  }

  explicit RowNormKernel(const KernelSpec& spec)
      : space_(spec),
        centred_(spec.op != "rms_norm"),
        eps_(spec.attributes->Float("eps")),
        momentum_(spec.op == "instance_norm2d" ? spec.attributes->Float("momentum") : 0),
        weight_(spec.TensorIndex("weight")),
        bias_(spec.TensorIndex("bias")),
        mean_(spec.TensorIndex("running_mean")),
        variance_(spec.TensorIndex("running_var")),
        counter_(spec.TensorIndex("num_batches_tracked")) {
    workspace_bytes_ =
        2 * space_.rows * static_cast<int64_t>(sizeof(T));  // Means, and 1 / sqrt(variance + eps).
    scratch_bytes_ = 2 * space_.weights * static_cast<int64_t>(sizeof(double));
    reads_src_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    const RowSpace& s = space_;
    ParallelFor(s.rows, kElementGrain / (s.length + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) ForwardRow(args, row);
    });
    if (mean_ >= 0 && s.rows > 0) MoveRunning(args);
    return absl::OkStatus();
  }

  absl::Status Gradient(const BackwardArgs& args) {
    const RowSpace& s = space_;
    if (args.DiffSrc<T>(0) != nullptr) {
      ParallelFor(s.rows, kElementGrain / (s.length + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) BackwardRow(args, row);
      });
    }
    double* diff_weight = args.Scratch<double>();
    double* diff_bias = diff_weight + s.weights;
    std::fill_n(diff_weight, 2 * s.weights, 0.0);
    for (int64_t row = 0; row < s.rows; ++row) {
      for (int64_t i = 0; i < s.length; ++i) {
        const double diff = args.DiffDst<T>()[row * s.length + i];
        diff_weight[s.weight(row, i)] += diff * Normal(args.Src<T>(0), args.Workspace<T>(), row, i);
        diff_bias[s.weight(row, i)] += diff;
      }
    }
    Store(args, weight_, diff_weight);
    Store(args, bias_, diff_bias);
    return absl::OkStatus();
  }

 private:
  T Normal(const T* src, const T* workspace, int64_t row, int64_t i) const {
    return (src[row * space_.length + i] - workspace[row]) * workspace[space_.rows + row];
  }

  void ForwardRow(const KernelArgs& args, int64_t row) const {
    const RowSpace& s = space_;
    const T* src = args.Src<T>(0) + row * s.length;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < s.length; ++i) sum += src[i];
    const double mean = centred_ ? sum / static_cast<double>(s.length) : 0.0;
    for (int64_t i = 0; i < s.length; ++i) squares += (src[i] - mean) * (src[i] - mean);
    args.Workspace<T>()[row] = static_cast<T>(mean);
    args.Workspace<T>()[s.rows + row] =
        static_cast<T>(1 / std::sqrt(squares / static_cast<double>(s.length) + eps_));
    for (int64_t i = 0; i < s.length; ++i) {
      T y = Normal(args.Src<T>(0), args.Workspace<T>(), row, i);
      if (weight_ >= 0) y *= args.Tensor<T>(weight_)[s.weight(row, i)];
      if (bias_ >= 0) y += args.Tensor<T>(bias_)[s.weight(row, i)];
      args.Dst<T>()[row * s.length + i] = y;
    }
  }

  // With g = dy weight: dx = (g - mean(g) - x^ mean(g x^)) / sqrt(variance + eps), without mean(g)
  // if rows are not centred.
  void BackwardRow(const BackwardArgs& args, int64_t row) const {
    const RowSpace& s = space_;
    const auto slope = [&](int64_t i) -> double {
      const double diff = args.DiffDst<T>()[row * s.length + i];
      return weight_ < 0 ? diff : diff * args.Tensor<T>(weight_)[s.weight(row, i)];
    };
    double sum = 0, product = 0;
    for (int64_t i = 0; i < s.length; ++i) {
      sum += slope(i);
      product += slope(i) * Normal(args.Src<T>(0), args.Workspace<T>(), row, i);
    }
    const double n = static_cast<double>(s.length);
    for (int64_t i = 0; i < s.length; ++i) {
      const double normal = Normal(args.Src<T>(0), args.Workspace<T>(), row, i);
      args.DiffSrc<T>(0)[row * s.length + i] =
          static_cast<T>((slope(i) - (centred_ ? sum / n : 0) - normal * product / n) *
                         args.Workspace<T>()[s.rows + row]);
    }
  }

  // Instance norm: the mean over the batch of each sample's statistics, with the unbiased variance.
  void MoveRunning(const KernelArgs& args) const {
    const RowSpace& s = space_;
    const int64_t samples = s.rows / s.weights;
    const double batch = static_cast<double>(samples);
    const double unbiased = static_cast<double>(s.length) / static_cast<double>(s.length - 1);
    for (int64_t c = 0; c < s.weights; ++c) {
      double mean = 0, variance = 0;
      for (int64_t row = c; row < s.rows; row += s.weights) {
        const double inverse = args.Workspace<T>()[s.rows + row];
        mean += args.Workspace<T>()[row];
        variance += (1 / (inverse * inverse) - eps_) * unbiased;
      }
      Move(args.Tensor<T>(mean_)[c], mean / batch);
      Move(args.Tensor<T>(variance_)[c], variance / batch);
    }
    if (counter_ >= 0) args.Tensor<T>(counter_)[0] += 1;
  }

  void Move(T& running, double batch) const {
    running = static_cast<T>((1 - momentum_) * running + momentum_ * batch);
  }

  void Store(const BackwardArgs& args, int tensor, const double* values) const {
    if (tensor < 0 || args.DiffTensor<T>(tensor) == nullptr) return;
    for (int64_t i = 0; i < space_.weights; ++i) {
      args.DiffTensor<T>(tensor)[i] = static_cast<T>(values[i]);
    }
  }

  const RowSpace space_;
  const bool centred_;
  const double eps_, momentum_;
  const int weight_, bias_, mean_, variance_, counter_;
};

constexpr auto kOps = []<typename T, template <typename> class As>() -> std::vector<KernelEntry> {
  return {
      {"layer_norm", DTypeOf<T>::value, RowNormKernel<T>::template Create<As<RowNormKernel<T>>>},
      {"rms_norm", DTypeOf<T>::value, RowNormKernel<T>::template Create<As<RowNormKernel<T>>>},
      {"group_norm", DTypeOf<T>::value, RowNormKernel<T>::template Create<As<RowNormKernel<T>>>},
      {"instance_norm2d", DTypeOf<T>::value,
       RowNormKernel<T>::template Create<As<RowNormKernel<T>>>},
  };
};

}  // namespace

std::vector<KernelEntry> NormKernels() { return ForInference(kOps); }
std::vector<KernelEntry> NormTrainingKernels() { return ForTraining(kOps); }

}  // namespace mase
