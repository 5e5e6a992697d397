#include "mase/exec/simulate.h"

#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/types/span.h"
#include "mase/base/status_macros.h"
#include "mase/exec/operand_state.h"
#include "mase/format/format.h"
#include "mase/format/own_grids.h"

namespace mase {
namespace {

template <typename T>
class QuantizeKernel final : public Kernel {
 public:
  QuantizeKernel(std::shared_ptr<const Format> format, Shape shape, uint64_t stream)
      : format_(std::move(format)),
        shape_(std::move(shape)),
        stream_(stream),
        has_state_(HasOperandState(format_->proto())) {
    best_isa_ = true;
    in_place_ = true;
    has_backward_ = true;
    reads_src_ = true;
    if (!std::is_same_v<T, float>) {
      values_.resize(shape_.elements());
      gradients_.resize(shape_.elements());
    }
  }

  absl::Status Forward(const KernelArgs& args) override {
    if (has_state_) {
      MASE_RETURN_IF_ERROR(FollowState(static_cast<float>(*args.Tensor<T>(0))));
    }
    const uint64_t seed = StreamSeed(args.seed, stream_);
    if constexpr (std::is_same_v<T, float>) {
      return format_->Quantize(args.Src<T>(0), args.Dst<T>(), shape_, seed);
    } else {
      // Formats are float32 by definition.
      values_.assign(args.Src<T>(0), args.Src<T>(0) + values_.size());
      MASE_RETURN_IF_ERROR(format_->Quantize(values_.data(), values_.data(), shape_, seed));
      std::copy(values_.begin(), values_.end(), args.Dst<T>());
      return absl::OkStatus();
    }
  }

  absl::Status Backward(const BackwardArgs& args) override {
    if constexpr (std::is_same_v<T, float>) {
      PutStateGradient(args, args.Src<T>(0), args.DiffDst<T>());
      if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
      return format_->Gradient(args.Src<T>(0), args.DiffDst<T>(), args.DiffSrc<T>(0), shape_);
    } else {
      values_.assign(args.Src<T>(0), args.Src<T>(0) + values_.size());
      gradients_.assign(args.DiffDst<T>(), args.DiffDst<T>() + gradients_.size());
      PutStateGradient(args, values_.data(), gradients_.data());
      if (args.DiffSrc<T>(0) == nullptr) return absl::OkStatus();
      MASE_RETURN_IF_ERROR(
          format_->Gradient(values_.data(), gradients_.data(), gradients_.data(), shape_));
      std::copy(gradients_.begin(), gradients_.end(), args.DiffSrc<T>(0));
      return absl::OkStatus();
    }
  }

 private:
  absl::Status FollowState(float state) {
    if (StateOf(format_->proto()) == state) return absl::OkStatus();
    FormatProto proto = format_->proto();
    MASE_RETURN_IF_ERROR(SetState(state, proto));
    MASE_ASSIGN_OR_RETURN(format_, Format::Create(proto));  // Another one each step: not shared.
    return absl::OkStatus();
  }

  void PutStateGradient(const BackwardArgs& args, const float* src, const float* diff_dst) const {
    if (!has_state_ || args.DiffTensor<T>(0) == nullptr) return;
    const size_t count = static_cast<size_t>(shape_.elements());
    *args.DiffTensor<T>(0) = StateGradient(format_->proto(), {src, count}, {diff_dst, count});
  }

  std::shared_ptr<const Format> format_;
  const Shape shape_;
  const uint64_t stream_;
  const bool has_state_;
  std::vector<float> values_, gradients_;  // For T = double.
};

// A weight whose channels or values have grids of their own, those of tensors[0].
template <typename T>
class OwnGridsKernel final : public Kernel {
 public:
  OwnGridsKernel(const FormatProto& format, const Shape& shape)
      : format_(format),
        size_(static_cast<size_t>(shape.elements())),
        grids_(static_cast<size_t>(OwnGridsShape(format, shape).elements())) {
    in_place_ = true;
    has_backward_ = true;
    reads_src_ = true;
  }

  absl::Status Forward(const KernelArgs& args) override {
    Read(args.Src<T>(0), args.Tensor<T>(0));
    MASE_RETURN_IF_ERROR(RoundToOwnGrids(format_, widths_, values_, absl::MakeSpan(values_)));
    std::copy(values_.begin(), values_.end(), args.Dst<T>());
    return absl::OkStatus();
  }

  absl::Status Backward(const BackwardArgs& args) override {
    Read(args.Src<T>(0), args.Tensor<T>(0));
    gradients_.assign(args.DiffDst<T>(), args.DiffDst<T>() + size_);
    width_gradients_.resize(grids_);
    OwnGridsGradient(format_, widths_, values_, gradients_.data(), gradients_.data(),
                     absl::MakeSpan(width_gradients_));
    if (T* to = args.DiffTensor<T>(0)) absl::c_copy(width_gradients_, to);
    if (T* to = args.DiffSrc<T>(0)) absl::c_copy(gradients_, to);
    return absl::OkStatus();
  }

 private:
  // Formats are float32 by definition.
  void Read(const T* values, const T* widths) {
    values_.assign(values, values + size_);
    widths_.assign(widths, widths + grids_);
  }

  const FormatProto format_;
  const size_t size_, grids_;
  std::vector<float> values_, widths_, gradients_, width_gradients_;
};

template <typename T>
std::unique_ptr<Kernel> MakeKernel(const OperandView& view, uint64_t stream) {
  if (HasOwnGrids(view.format->proto())) {
    return std::make_unique<OwnGridsKernel<T>>(view.format->proto(), view.shape);
  }
  return std::make_unique<QuantizeKernel<T>>(view.format, view.shape, stream);
}

}  // namespace

std::unique_ptr<Kernel> MakeQuantizeKernel(const OperandView& view, DType dtype, uint64_t stream) {
  return dtype == DType::kFloat64 ? MakeKernel<double>(view, stream)
                                  : MakeKernel<float>(view, stream);
}

}  // namespace mase
