#include "mase/quantize/operands.h"

#include <vector>

#include "absl/algorithm/container.h"

namespace mase {
namespace {

bool HasBlocks(const FormatProto& format) {
  return format.has_block_fp() || format.has_block_minifloat() || format.has_block_log();
}

// [b] to [1, 1, b].
Shape WithRank(const Shape& shape, int rank) {
  Shape padded;
  for (int i = shape.rank(); i < rank; ++i) padded.push_back(1);
  for (int i = 0; i < shape.rank(); ++i) padded.push_back(shape[i]);
  return padded;
}

// [a, b, c, d] to [a b, c, d].
Shape FoldToThree(const Shape& shape) {
  if (shape.rank() <= 3) return shape;
  int64_t leading = 1;
  for (int i = 0; i < shape.rank() - 2; ++i) leading *= shape[i];
  return {leading, shape[-2], shape[-1]};
}

bool Folds(const Node& node, bool skips) {
  if (node.op() == "conv2d") return true;
  return node.kind() != NodeKind::kCallModule && skips;
}

template <typename Family>
void SetSkip(bool skips, Family* family) {
  if (!family->has_skip_first_dim()) family->set_skip_first_dim(skips);
}

bool Skips(const FormatProto& format) {
  switch (format.family_case()) {
    case FormatProto::kBlockFp:
      return format.block_fp().skip_first_dim();
    case FormatProto::kBlockMinifloat:
      return format.block_minifloat().skip_first_dim();
    default:
      return format.block_log().skip_first_dim();
  }
}

}  // namespace

bool IsLayer(absl::string_view op) { return op == "linear" || op == "conv1d" || op == "conv2d"; }

bool IsProduct(absl::string_view op) { return op == "matmul" || op == "bmm"; }

bool IsArithmetic(absl::string_view op) { return op == "add" || op == "sub" || op == "mul"; }

bool IsActivation(absl::string_view op) {
  static const auto* const ops = new std::vector<absl::string_view>{
      "relu", "gelu", "selu", "silu", "tanh", "softsign", "softplus"};
  return absl::c_linear_search(*ops, op);
}

absl::string_view InputOperand(const Node& node, int input) {
  return input == 1 && IsProduct(node.op()) ? "weight" : "data_in";
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

bool SkipsFirstDim(const Node& node, absl::string_view operand, const Shape& shape,
                   const InferredShapes& shapes) {
  if (operand == "bias") return false;
  if (node.op() == "linear") return operand == "data_in";
  if (IsLayer(node.op())) return true;
  if (IsArithmetic(node.op())) return shapes.shape(node.inputs()[0]).rank() > 2;
  return node.kind() == NodeKind::kCallModule || shape.rank() > 2;
}

void FillSkipFirstDim(bool skips, FormatProto* format) {
  if (format->has_block_fp()) SetSkip(skips, format->mutable_block_fp());
  if (format->has_block_minifloat()) SetSkip(skips, format->mutable_block_minifloat());
  if (format->has_block_log()) SetSkip(skips, format->mutable_block_log());
}

OperandView ViewOperand(const Node& node, absl::string_view operand, const FormatProto& format,
                        const Shape& shape, const InferredShapes& shapes) {
  OperandView view = {format, shape};
  if (!HasBlocks(format)) return view;
  FillSkipFirstDim(SkipsFirstDim(node, operand, shape, shapes), &view.format);
  if (IsArithmetic(node.op()) && operand == "data_in") {
    view.shape = WithRank(shape, shapes.shape(node.outputs()[0]).rank());
  }
  if (format.semantics() == FormatProto::REFERENCE && Folds(node, Skips(view.format))) {
    view.shape = FoldToThree(view.shape);
  }
  return view;
}

}  // namespace mase
