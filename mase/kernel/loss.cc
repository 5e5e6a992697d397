#include "mase/kernel/loss.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "mase/kernel/dense/softmax_cross_entropy.h"
#include "mase/kernel/kernels.h"

namespace mase {
namespace {

template <typename T>
class CrossEntropyKernel final : public Kernel {
 public:
  explicit CrossEntropyKernel(const KernelSpec& spec)
      : rows_(spec.srcs[0].shape[0]), classes_(spec.srcs[0].shape[1]) {
    has_backward_ = true;
    reads_src_ = true;
    turns_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override { return Run(args, nullptr); }
  absl::Status Backward(const BackwardArgs& args) override { return Run(args, args.DiffSrc<T>(0)); }

 private:
  absl::Status Run(const KernelArgs& args, T* diff_scores) const {
    const ClassificationLoss loss =
        CrossEntropy(args.Src<T>(0), args.Src<int64_t>(1), rows_, classes_, diff_scores);
    args.Dst<double>()[0] = loss.loss;
    args.Dst<double>()[1] = static_cast<double>(loss.correct);
    return absl::OkStatus();
  }

  const int64_t rows_, classes_;
};

KernelOr MakeCrossEntropy(const KernelSpec& spec) {
  if (spec.srcs[0].shape.rank() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("scores of shape ", spec.srcs[0].shape.ToString(), ", want [rows, classes]"));
  }
  return spec.srcs[0].dtype == DType::kFloat64 ? Make<CrossEntropyKernel<double>>(spec)
                                               : Make<CrossEntropyKernel<float>>(spec);
}

}  // namespace

ClassificationLoss CrossEntropy(const float* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, float* diff_scores) {
  return SoftmaxCrossEntropy(scores, labels, rows, classes, diff_scores);
}

ClassificationLoss CrossEntropy(const double* scores, const int64_t* labels, int64_t rows,
                                int64_t classes, double* diff_scores) {
  ClassificationLoss result;
  for (int64_t i = 0; i < rows; ++i) {
    const double* z = scores + i * classes;
    const double* best = std::max_element(z, z + classes);  // The first of equals.
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(z[k] - *best);
    result.correct += best - z == labels[i];
    result.loss -= z[labels[i]] - *best - std::log(sum);
    if (diff_scores == nullptr) continue;
    for (int64_t k = 0; k < classes; ++k) {
      const double probability = std::exp(z[k] - *best) / sum;
      diff_scores[i * classes + k] = (probability - (k == labels[i])) / static_cast<double>(rows);
    }
  }
  if (rows > 0) result.loss /= static_cast<double>(rows);
  return result;
}

std::vector<KernelEntry> LossTrainingKernels() {
  return {{kSoftmaxCrossEntropy.op, DType::kFloat64, MakeCrossEntropy}};
}

}  // namespace mase
