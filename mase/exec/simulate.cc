#include "mase/exec/simulate.h"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/format/format.h"

namespace mase {
namespace {

template <typename T>
class QuantizeKernel final : public Kernel<T> {
 public:
  QuantizeKernel(std::unique_ptr<const Format> format, Shape shape)
      : format_(std::move(format)), shape_(std::move(shape)) {
    this->in_place_ = true;
    this->has_backward_ = true;
    this->reads_src_ = true;
    if (!std::is_same_v<T, float>) {
      values_.resize(shape_.elements());
      gradients_.resize(shape_.elements());
    }
  }

  absl::Status Forward(const KernelArgs<T>& args) override {
    if constexpr (std::is_same_v<T, float>) {
      return format_->Quantize(args.srcs[0], args.dst, shape_, args.seed);
    } else {
      // Formats are float32 by definition.
      values_.assign(args.srcs[0], args.srcs[0] + values_.size());
      MASE_RETURN_IF_ERROR(format_->Quantize(values_.data(), values_.data(), shape_, args.seed));
      std::copy(values_.begin(), values_.end(), args.dst);
      return absl::OkStatus();
    }
  }

  absl::Status Backward(const BackwardArgs<T>& args) override {
    if (args.diff_srcs[0] == nullptr) return absl::OkStatus();
    if constexpr (std::is_same_v<T, float>) {
      return format_->Gradient(args.srcs[0], args.diff_dst, args.diff_srcs[0], shape_);
    } else {
      values_.assign(args.srcs[0], args.srcs[0] + values_.size());
      gradients_.assign(args.diff_dst, args.diff_dst + gradients_.size());
      MASE_RETURN_IF_ERROR(
          format_->Gradient(values_.data(), gradients_.data(), gradients_.data(), shape_));
      std::copy(gradients_.begin(), gradients_.end(), args.diff_srcs[0]);
      return absl::OkStatus();
    }
  }

 private:
  const std::unique_ptr<const Format> format_;
  const Shape shape_;
  std::vector<float> values_, gradients_;  // For T = double.
};

}  // namespace

template <typename T>
KernelOr<T> MakeQuantizeKernel(const OperandView& view) {
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<const Format> format, Format::Create(view.format));
  return std::make_unique<QuantizeKernel<T>>(std::move(format), view.shape);
}

template KernelOr<float> MakeQuantizeKernel(const OperandView&);
template KernelOr<double> MakeQuantizeKernel(const OperandView&);

}  // namespace mase
