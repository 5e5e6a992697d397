#include "mase/exec/simulate.h"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/format/format.h"

namespace mase {
namespace {

bool IsConvolution(const Node& node) { return node.op() == "conv1d" || node.op() == "conv2d"; }

bool IsProduct(const Node& node) { return node.op() == "matmul" || node.op() == "bmm"; }

bool IsArithmetic(const Node& node) {
  return node.op() == "add" || node.op() == "sub" || node.op() == "mul";
}

// Whether every index of the first axis has blocks of its own (quantized_ops.md, sections 2 and 3).
bool SkipsFirstDim(const Node& node, absl::string_view operand, int rank) {
  if (operand == "bias") return false;
  if (IsConvolution(node)) return true;
  if (node.op() == "linear") return operand == "data_in";
  if (IsProduct(node) || IsArithmetic(node)) return rank > 2;
  return node.kind() == NodeKind::kCallModule || rank > 2;
}

// [a, b, c, d] to [a b, c, d].
Shape FoldToThree(const Shape& shape) {
  if (shape.rank() <= 3) return shape;
  int64_t leading = 1;
  for (int i = 0; i < shape.rank() - 2; ++i) leading *= shape[i];
  return {leading, shape[-2], shape[-1]};
}

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

absl::string_view InputOperand(const Node& node, int input) {
  return input == 1 && IsProduct(node) ? "weight" : "data_in";
}

absl::string_view TensorOperand(const Node& node, absl::string_view tensor, bool reference) {
  const bool norm = node.op() == "batch_norm2d" || node.op() == "layer_norm" ||
                    node.op() == "group_norm" || node.op() == "instance_norm2d";
  if (reference && norm) return "";
  if (tensor == "weight" || tensor == "bias") return tensor;
  if (reference && node.op() == "batch_norm1d") {
    if (tensor == "running_mean") return "weight";
    if (tensor == "running_var") return "bias";
  }
  return "";
}

const FormatProto* FindFormat(const Node& node, absl::string_view operand) {
  if (node.quantization() == nullptr) return nullptr;
  for (const OperandFormat& format : node.quantization()->operand()) {
    if (format.operand() == operand) return &format.format();
  }
  return nullptr;
}

SimulatedTensor Simulated(const Node& node, absl::string_view operand, const FormatProto& format,
                          const Shape& shape) {
  SimulatedTensor tensor = {format, shape};
  const bool skip = SkipsFirstDim(node, operand, shape.rank());
  const auto fill = [skip](auto* family) {
    if (!family->has_skip_first_dim()) family->set_skip_first_dim(skip);
  };
  switch (format.family_case()) {
    case FormatProto::kBlockFp:
      fill(tensor.format.mutable_block_fp());
      break;
    case FormatProto::kBlockMinifloat:
      fill(tensor.format.mutable_block_minifloat());
      break;
    case FormatProto::kBlockLog:
      fill(tensor.format.mutable_block_log());
      break;
    default:
      return tensor;
  }
  if (format.semantics() == FormatProto::REFERENCE) tensor.shape = FoldToThree(shape);
  return tensor;
}

template <typename T>
KernelOr<T> MakeQuantizeKernel(const SimulatedTensor& tensor) {
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<const Format> format, Format::Create(tensor.format));
  return std::make_unique<QuantizeKernel<T>>(std::move(format), tensor.shape);
}

template KernelOr<float> MakeQuantizeKernel(const SimulatedTensor&);
template KernelOr<double> MakeQuantizeKernel(const SimulatedTensor&);

}  // namespace mase
