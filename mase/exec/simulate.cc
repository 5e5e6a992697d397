#include "mase/exec/simulate.h"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/format/lsq.h"

namespace mase {
namespace {

template <typename T>
class QuantizeKernel final : public Kernel<T> {
 public:
  QuantizeKernel(std::unique_ptr<const Format> format, Shape shape)
      : format_(std::move(format)),
        shape_(std::move(shape)),
        has_learned_step_(HasLearnedStep(format_->proto())) {
    this->in_place_ = true;
    this->has_backward_ = true;
    this->reads_src_ = true;
    if (!std::is_same_v<T, float>) {
      values_.resize(shape_.elements());
      gradients_.resize(shape_.elements());
    }
  }

  absl::Status Forward(const KernelArgs<T>& args) override {
    if (has_learned_step_) {
      MASE_RETURN_IF_ERROR(FollowStep(static_cast<float>(args.tensors[0][0])));
    }
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
    if constexpr (std::is_same_v<T, float>) {
      StepGradient(args, args.srcs[0], args.diff_dst);
      if (args.diff_srcs[0] == nullptr) return absl::OkStatus();
      return format_->Gradient(args.srcs[0], args.diff_dst, args.diff_srcs[0], shape_);
    } else {
      values_.assign(args.srcs[0], args.srcs[0] + values_.size());
      gradients_.assign(args.diff_dst, args.diff_dst + gradients_.size());
      StepGradient(args, values_.data(), gradients_.data());
      if (args.diff_srcs[0] == nullptr) return absl::OkStatus();
      MASE_RETURN_IF_ERROR(
          format_->Gradient(values_.data(), gradients_.data(), gradients_.data(), shape_));
      std::copy(gradients_.begin(), gradients_.end(), args.diff_srcs[0]);
      return absl::OkStatus();
    }
  }

 private:
  absl::Status FollowStep(float step) {
    FormatProto proto = format_->proto();
    if (proto.lsq().has_scale() && proto.lsq().scale() == step) return absl::OkStatus();
    proto.mutable_lsq()->set_scale(step);
    MASE_ASSIGN_OR_RETURN(format_, Format::Create(proto));
    return absl::OkStatus();
  }

  void StepGradient(const BackwardArgs<T>& args, const float* src, const float* diff_dst) const {
    if (!has_learned_step_ || args.diff_tensors[0] == nullptr) return;
    const size_t count = static_cast<size_t>(shape_.elements());
    args.diff_tensors[0][0] = LsqScaleGradient(format_->proto(), {src, count}, {diff_dst, count});
  }

  std::unique_ptr<const Format> format_;
  const Shape shape_;
  const bool has_learned_step_;
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
