// The names of all ops and of the operands that they may have, as constants: a misspelt one does
// not compile.
//
//   if (node->op() == ops::kIdentity) ...
//
// Names are MASE's `mase_op` names, which are PyTorch's functional names. What an op *is* stands in
// its entry of the table (op_schema.h): code that treats several ops alike asks for a trait there
// and names none.
#ifndef MASE_GRAPH_OPS_H_
#define MASE_GRAPH_OPS_H_

#include "absl/strings/string_view.h"

namespace mase::ops {

inline constexpr absl::string_view kAbs = "abs";
inline constexpr absl::string_view kAdaptiveAvgPool1d = "adaptive_avg_pool1d";
inline constexpr absl::string_view kAdaptiveAvgPool2d = "adaptive_avg_pool2d";
inline constexpr absl::string_view kAdaptiveMaxPool1d = "adaptive_max_pool1d";
inline constexpr absl::string_view kAdaptiveMaxPool2d = "adaptive_max_pool2d";
inline constexpr absl::string_view kAdd = "add";
inline constexpr absl::string_view kAmax = "amax";
inline constexpr absl::string_view kAmin = "amin";
inline constexpr absl::string_view kAvgPool1d = "avg_pool1d";
inline constexpr absl::string_view kAvgPool2d = "avg_pool2d";
inline constexpr absl::string_view kBatchNorm1d = "batch_norm1d";
inline constexpr absl::string_view kBatchNorm2d = "batch_norm2d";
inline constexpr absl::string_view kBmm = "bmm";
inline constexpr absl::string_view kCat = "cat";
inline constexpr absl::string_view kCeil = "ceil";
inline constexpr absl::string_view kConv1d = "conv1d";
inline constexpr absl::string_view kConv2d = "conv2d";
inline constexpr absl::string_view kConvTranspose2d = "convtranspose2d";
inline constexpr absl::string_view kCos = "cos";
inline constexpr absl::string_view kDiv = "div";
inline constexpr absl::string_view kDropout = "dropout";
inline constexpr absl::string_view kElu = "elu";
inline constexpr absl::string_view kEmbedding = "embedding";
inline constexpr absl::string_view kEq = "eq";
inline constexpr absl::string_view kErf = "erf";
inline constexpr absl::string_view kExp = "exp";
inline constexpr absl::string_view kExpand = "expand";
inline constexpr absl::string_view kFlatten = "flatten";
inline constexpr absl::string_view kFloor = "floor";
inline constexpr absl::string_view kGe = "ge";
inline constexpr absl::string_view kGelu = "gelu";
inline constexpr absl::string_view kGetAttr = "get_attr";
inline constexpr absl::string_view kGroupNorm = "group_norm";
inline constexpr absl::string_view kGt = "gt";
inline constexpr absl::string_view kHardshrink = "hardshrink";
inline constexpr absl::string_view kHardsigmoid = "hardsigmoid";
inline constexpr absl::string_view kHardswish = "hardswish";
inline constexpr absl::string_view kHardtanh = "hardtanh";
inline constexpr absl::string_view kIdentity = "identity";
inline constexpr absl::string_view kIndexSelect = "index_select";
inline constexpr absl::string_view kInstanceNorm2d = "instance_norm2d";
inline constexpr absl::string_view kLayerNorm = "layer_norm";
inline constexpr absl::string_view kLeakyRelu = "leaky_relu";
inline constexpr absl::string_view kLinear = "linear";
inline constexpr absl::string_view kLog = "log";
inline constexpr absl::string_view kLogSoftmax = "log_softmax";
inline constexpr absl::string_view kLogSigmoid = "logsigmoid";
inline constexpr absl::string_view kMatmul = "matmul";
inline constexpr absl::string_view kMaxPool1d = "max_pool1d";
inline constexpr absl::string_view kMaxPool2d = "max_pool2d";
inline constexpr absl::string_view kMaximum = "maximum";
inline constexpr absl::string_view kMean = "mean";
inline constexpr absl::string_view kMinimum = "minimum";
inline constexpr absl::string_view kMul = "mul";
inline constexpr absl::string_view kNeg = "neg";
inline constexpr absl::string_view kOutput = "output";
inline constexpr absl::string_view kPad = "pad";
inline constexpr absl::string_view kPermute = "permute";
inline constexpr absl::string_view kPlaceholder = "placeholder";
inline constexpr absl::string_view kPow = "pow";
inline constexpr absl::string_view kReciprocal = "reciprocal";
inline constexpr absl::string_view kRelu = "relu";
inline constexpr absl::string_view kRelu6 = "relu6";
inline constexpr absl::string_view kReshape = "reshape";
inline constexpr absl::string_view kRmsNorm = "rms_norm";
inline constexpr absl::string_view kRound = "round";
inline constexpr absl::string_view kSelu = "selu";
inline constexpr absl::string_view kSigmoid = "sigmoid";
inline constexpr absl::string_view kSilu = "silu";
inline constexpr absl::string_view kSin = "sin";
inline constexpr absl::string_view kSize = "size";
inline constexpr absl::string_view kSlice = "slice";
inline constexpr absl::string_view kSoftmax = "softmax";
inline constexpr absl::string_view kSoftplus = "softplus";
inline constexpr absl::string_view kSoftshrink = "softshrink";
inline constexpr absl::string_view kSoftsign = "softsign";
inline constexpr absl::string_view kSqrt = "sqrt";
inline constexpr absl::string_view kSub = "sub";
inline constexpr absl::string_view kSum = "sum";
inline constexpr absl::string_view kTanh = "tanh";
inline constexpr absl::string_view kTranspose = "transpose";
inline constexpr absl::string_view kView = "view";
inline constexpr absl::string_view kWhere = "where";

}  // namespace mase::ops

// What a tensor of a node is to its op. A record (metadata.proto: Quantization) has a format for
// each; MASE's configs have these names in front of their keys ("weight_width").
namespace mase::operands {

inline constexpr absl::string_view kDataIn = "data_in";
inline constexpr absl::string_view kWeight = "weight";
inline constexpr absl::string_view kBias = "bias";
inline constexpr absl::string_view kDataOut = "data_out";

}  // namespace mase::operands

#endif  // MASE_GRAPH_OPS_H_
