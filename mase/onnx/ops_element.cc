// ONNX ops that work element by element.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {
namespace {

constexpr float kMost = std::numeric_limits<float>::max();

// Same (onnx_ops.h) with one number.
template <const absl::string_view& kOp, const char* kOnnx, const char* kOurs, int kMillis>
absl::Status WithNumber(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double number, node.Float(kOnnx, kMillis / 1000.0));
  return node.Become(kOp, {{kOurs, number}});
}
constexpr char kAlpha[] = "alpha", kNegativeSlope[] = "negative_slope";

// The one number of a known scalar; nothing where the input is missing.
absl::StatusOr<std::optional<double>> Scalar(const OnnxNode& node, int i) {
  if (!node.HasInput(i)) return std::nullopt;
  MASE_ASSIGN_OR_RETURN(const Tensor tensor, node.Floats(i));
  if (tensor.elements() != 1) return BadNode("input ", i, " is no single number");
  return tensor.data<float>()[0];
}

// Codes that are cut: fewer of them, or the numbers that they stand for are cut there.
absl::Status ClipCodes(OnnxNode& node) {
  const FormatProto& codes = *node.Input(0)->codes;
  if (!codes.has_affine() || codes.affine().scale_size() != 1) {
    return CannotRead("cuts codes that are no integers of one scale");
  }
  const AffineFormat& affine = codes.affine();
  const bool is_signed = !affine.has_is_signed();
  const int64_t least = is_signed ? -(int64_t{1} << (affine.width() - 1)) : 0;
  int64_t ends[] = {least, least + (int64_t{1} << affine.width()) - 1};
  for (const int i : {1, 2}) {
    if (!node.HasInput(i)) continue;
    MASE_ASSIGN_OR_RETURN(const KnownInts known, node.WholeNumbers(i));
    MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, known.Numbers());
    if (numbers.size() != 1) return BadNode("wants one number as an end");
    ends[i - 1] = i == 1 ? std::max(ends[0], numbers[0]) : std::min(ends[1], numbers[0]);
  }
  if (ends[0] > ends[1]) return CannotRead("leaves no code");
  for (int width = 1; width <= affine.width(); ++width) {
    const int64_t lo = is_signed ? -(int64_t{1} << (width - 1)) : 0;
    if (ends[0] != lo || ends[1] != lo + (int64_t{1} << width) - 1) continue;
    OnnxValue narrower = *node.Input(0);
    narrower.codes->mutable_affine()->set_width(width);
    node.SetResult(0, std::move(narrower));
    return absl::OkStatus();
  }
  const int64_t zero = affine.zero_point().empty() ? 0 : affine.zero_point(0);
  const auto number = [&](int64_t code) {
    return static_cast<double>(code - zero) * static_cast<double>(affine.scale(0));
  };
  const bool relu = ends[0] == zero && ends[1] == least + (int64_t{1} << affine.width()) - 1;
  Value* x = node.Input(0)->value;
  Value* result = nullptr;
  if (relu) {
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kRelu, {x}));
  } else {
    MASE_ASSIGN_OR_RETURN(result,
                          node.Add(ops::kHardtanh, {x},
                                   {{"min_val", number(ends[0])}, {"max_val", number(ends[1])}}));
  }
  node.SetResult(0, {.value = result, .codes = codes});
  return absl::OkStatus();
}

absl::Status Clip(OnnxNode& node) {
  if (node.Input(0) != nullptr && node.Input(0)->codes.has_value()) return ClipCodes(node);
  MASE_ASSIGN_OR_RETURN(double low, node.Float("min", -kMost));
  MASE_ASSIGN_OR_RETURN(double high, node.Float("max", kMost));
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  if (node.opset() >= 11) {
    const bool known = (!node.HasInput(1) || node.KnownFloats(1) != nullptr) &&
                       (!node.HasInput(2) || node.KnownFloats(2) != nullptr);
    if (!known) {
      for (const int i : {1, 2}) {
        if (!node.HasInput(i)) continue;
        MASE_ASSIGN_OR_RETURN(Value * bound, node.ValueOf(i));
        MASE_ASSIGN_OR_RETURN(x, node.Add(i == 1 ? ops::kMaximum : ops::kMinimum, {x, bound}));
      }
      node.SetResult(x);
      return absl::OkStatus();
    }
    MASE_ASSIGN_OR_RETURN(const std::optional<double> least, Scalar(node, 1));
    MASE_ASSIGN_OR_RETURN(const std::optional<double> most, Scalar(node, 2));
    low = least.value_or(low);
    high = most.value_or(high);
  }
  // Of ends that have crossed the upper one holds.
  low = std::min(low, high);
  Value* result = nullptr;
  if (low == 0 && high == 6) {
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kRelu6, {x}));
  } else if (low == 0 && high == kMost) {
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kRelu, {x}));
  } else {
    MASE_ASSIGN_OR_RETURN(result,
                          node.Add(ops::kHardtanh, {x}, {{"min_val", low}, {"max_val", high}}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status Gelu(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const std::string approximate, node.String("approximate", "none"));
  return node.Become(ops::kGelu, {{"approximate", approximate}});
}

// max(0, min(1, alpha x + beta))
absl::Status HardSigmoid(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double alpha, node.Float("alpha", 0.2f));
  MASE_ASSIGN_OR_RETURN(const double beta, node.Float("beta", 0.5));
  if (static_cast<float>(alpha) == 1.0f / 6 && beta == 0.5) return node.Become(ops::kHardsigmoid);
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * slope, node.Number(alpha));
  MASE_ASSIGN_OR_RETURN(Value * offset, node.Number(beta));
  MASE_ASSIGN_OR_RETURN(Value * scaled, node.Add(ops::kMul, {x, slope}));
  MASE_ASSIGN_OR_RETURN(Value * line, node.Add(ops::kAdd, {scaled, offset}));
  MASE_ASSIGN_OR_RETURN(Value * cut,
                        node.Add(ops::kHardtanh, {line}, {{"min_val", 0.0}, {"max_val", 1.0}}));
  node.SetResult(cut);
  return absl::OkStatus();
}

// gamma (x, or alpha (e^x - 1) below 0)
absl::Status Selu(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double alpha, node.Float("alpha", 1.67326319217681884765625));
  MASE_ASSIGN_OR_RETURN(const double gamma, node.Float("gamma", 1.05070102214813232421875));
  if (std::fabs(alpha - 1.67326324) < 1e-6 && std::fabs(gamma - 1.05070099) < 1e-6) {
    return node.Become(ops::kSelu);
  }
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * elu, node.Add(ops::kElu, {x}, {{"alpha", alpha}}));
  MASE_ASSIGN_OR_RETURN(Value * scale, node.Number(gamma));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kMul, {elu, scale}));
  node.SetResult(result);
  return absl::OkStatus();
}

// max(0, x) + min(0, alpha (e^(x / alpha) - 1)) = alpha elu(x / alpha)
absl::Status Celu(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double alpha, node.Float("alpha", 1));
  if (alpha == 1) return node.Become(ops::kElu, {{"alpha", 1.0}});
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * scale, node.Number(alpha));
  MASE_ASSIGN_OR_RETURN(Value * scaled, node.Add(ops::kDiv, {x, scale}));
  MASE_ASSIGN_OR_RETURN(Value * elu, node.Add(ops::kElu, {scaled}, {{"alpha", 1.0}}));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kMul, {elu, scale}));
  node.SetResult(result);
  return absl::OkStatus();
}

absl::Status Shrink(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double lambda, node.Float("lambd", 0.5));
  MASE_ASSIGN_OR_RETURN(const double bias, node.Float("bias", 0));
  if (lambda < 0 || (bias != 0 && bias != lambda)) {
    return CannotRead("takes bias=0 or bias=lambd, not lambd=", lambda, " bias=", bias);
  }
  return node.Become(bias == 0 ? ops::kHardshrink : ops::kSoftshrink, {{"lambd", lambda}});
}

absl::Status ThresholdedRelu(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(const double alpha, node.Float("alpha", 1));
  if (alpha < 0) return CannotRead("takes no alpha below 0");
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * far, node.Add(ops::kHardshrink, {x}, {{"lambd", alpha}}));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kRelu, {far}));
  node.SetResult(result);
  return absl::OkStatus();
}

// x tanh(softplus(x))
absl::Status Mish(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * plus, node.Add(ops::kSoftplus, {x}));
  MASE_ASSIGN_OR_RETURN(Value * bent, node.Add(ops::kTanh, {plus}));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kMul, {x, bent}));
  node.SetResult(result);
  return absl::OkStatus();
}

// max(x, 0) + slope min(x, 0)
absl::Status PRelu(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * slope, node.ValueOf(1));
  MASE_ASSIGN_OR_RETURN(Value * above, node.Add(ops::kRelu, {x}));
  MASE_ASSIGN_OR_RETURN(Value * below, node.Add(ops::kHardtanh, {x},
                                                {{"min_val", -double{kMost}}, {"max_val", 0.0}}));
  MASE_ASSIGN_OR_RETURN(Value * scaled, node.Add(ops::kMul, {below, slope}));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kAdd, {above, scaled}));
  node.SetResult(result);
  return absl::OkStatus();
}

// Sum, Max, Min and Mean of any number of inputs.
template <const absl::string_view& kOp, bool kMean>
absl::Status Chain(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * result, node.ValueOf(0));
  for (int i = 1; i < node.inputs(); ++i) {
    MASE_ASSIGN_OR_RETURN(Value * next, node.ValueOf(i));
    MASE_ASSIGN_OR_RETURN(result, node.Add(kOp, {result, next}));
  }
  if (kMean && node.inputs() > 1) {
    MASE_ASSIGN_OR_RETURN(Value * count, node.Number(node.inputs()));
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kDiv, {result, count}));
  }
  if (node.inputs() == 1) {
    MASE_ASSIGN_OR_RETURN(result, node.Add(ops::kIdentity, {result}));
  }
  node.SetResult(result);
  return absl::OkStatus();
}

// 1 above zero, less 1 below it.
absl::Status Sign(OnnxNode& node) {
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  MASE_ASSIGN_OR_RETURN(Value * zero, node.Number(0));
  MASE_ASSIGN_OR_RETURN(Value * above, node.Add(ops::kGt, {x, zero}));
  MASE_ASSIGN_OR_RETURN(Value * below, node.Add(ops::kGt, {zero, x}));
  MASE_ASSIGN_OR_RETURN(Value * result, node.Add(ops::kSub, {above, below}));
  node.SetResult(result);
  return absl::OkStatus();
}

// In inference.
absl::Status Dropout(OnnxNode& node) {
  if (node.HasInput(2)) {
    MASE_ASSIGN_OR_RETURN(const KnownInts training, node.WholeNumbers(2));
    if (training.values.size() != 1 || training.values[0] != Extent{0}) {
      return CannotRead("is in training mode; export the net for inference");
    }
  }
  if (node.Input(0) == nullptr) return BadNode("has no input");
  node.SetResult(0, OnnxValue(*node.Input(0)));
  return absl::OkStatus();
}

absl::Status Identity(OnnxNode& node) {
  if (node.Input(0) == nullptr) return BadNode("has no input");
  node.SetResult(0, OnnxValue(*node.Input(0)));
  return absl::OkStatus();
}

absl::Status SoftmaxBy(OnnxNode& node, absl::string_view op) {
  const bool old = node.opset() < 13;
  MASE_ASSIGN_OR_RETURN(const int64_t given, node.Int("axis", old ? 1 : -1));
  MASE_ASSIGN_OR_RETURN(Value * x, node.ValueOf(0));
  const int rank = node.importer().RankOf(x);
  MASE_ASSIGN_OR_RETURN(const int axis, AxisOf(given, rank));
  if (!old || axis == rank - 1) {
    MASE_ASSIGN_OR_RETURN(Value * result, node.Add(op, {x}, {{"dim", static_cast<int64_t>(axis)}}));
    node.SetResult(result);
    return absl::OkStatus();
  }
  // Before opset 13 the axes from `axis` on are one.
  MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, node.importer().ExtentsOf(x));
  MASE_ASSIGN_OR_RETURN(const Extent rows, Product({extents.begin(), extents.begin() + axis}));
  MASE_ASSIGN_OR_RETURN(const Extent width, Product({extents.begin() + axis, extents.end()}));
  MASE_ASSIGN_OR_RETURN(Value * flat, node.View(x, {rows, width}));
  MASE_ASSIGN_OR_RETURN(Value * soft, node.Add(op, {flat}, {{"dim", int64_t{1}}}));
  MASE_ASSIGN_OR_RETURN(Value * result, node.View(soft, extents));
  node.SetResult(result);
  return absl::OkStatus();
}

template <const absl::string_view& kOp>
absl::Status SoftmaxOf(OnnxNode& node) {
  return SoftmaxBy(node, kOp);
}

}  // namespace

std::vector<OnnxOp> OnnxElementOps() {
  return {
      {.name = "Relu", .becomes = ops::kRelu, .import = Same<ops::kRelu>},
      {.name = "LeakyRelu",
       .becomes = ops::kLeakyRelu,
       .import = WithNumber<ops::kLeakyRelu, kAlpha, kNegativeSlope, 10>},
      {.name = "Elu", .becomes = ops::kElu, .import = WithNumber<ops::kElu, kAlpha, kAlpha, 1000>},
      {.name = "Selu", .becomes = "selu, or elu and mul", .import = Selu},
      {.name = "Celu", .becomes = "elu, with div and mul", .import = Celu},
      {.name = "PRelu", .becomes = "relu, hardtanh, mul, add", .import = PRelu},
      {.name = "ThresholdedRelu",
       .becomes = "hardshrink, relu",
       .limits = "alpha >= 0",
       .import = ThresholdedRelu},
      {.name = "Shrink",
       .becomes = "hardshrink or softshrink",
       .limits = "bias = 0 or lambd",
       .import = Shrink},
      {.name = "Sigmoid", .becomes = ops::kSigmoid, .import = Same<ops::kSigmoid>},
      {.name = "HardSigmoid",
       .becomes = "hardsigmoid, or mul, add, hardtanh",
       .import = HardSigmoid},
      {.name = "HardSwish", .becomes = ops::kHardswish, .import = Same<ops::kHardswish>},
      {.name = "Mish", .becomes = "softplus, tanh, mul", .import = Mish},
      {.name = "Gelu", .becomes = ops::kGelu, .import = Gelu},
      {.name = "Tanh", .becomes = ops::kTanh, .import = Same<ops::kTanh>},
      {.name = "Softplus", .becomes = ops::kSoftplus, .import = Same<ops::kSoftplus>},
      {.name = "Softsign", .becomes = ops::kSoftsign, .import = Same<ops::kSoftsign>},
      {.name = "Abs", .becomes = ops::kAbs, .import = Same<ops::kAbs>},
      {.name = "Ceil", .becomes = ops::kCeil, .import = Same<ops::kCeil>},
      {.name = "Cos", .becomes = ops::kCos, .import = Same<ops::kCos>},
      {.name = "Erf", .becomes = ops::kErf, .import = Same<ops::kErf>},
      {.name = "Exp", .becomes = ops::kExp, .import = Same<ops::kExp>},
      {.name = "Floor", .becomes = ops::kFloor, .import = Same<ops::kFloor>},
      {.name = "Log", .becomes = ops::kLog, .import = Same<ops::kLog>},
      {.name = "Neg", .becomes = ops::kNeg, .import = Same<ops::kNeg>, .fold = FoldArithmetic},
      {.name = "Reciprocal", .becomes = ops::kReciprocal, .import = Same<ops::kReciprocal>},
      {.name = "Round", .becomes = ops::kRound, .import = Same<ops::kRound>},
      {.name = "Sign", .becomes = "gt, sub", .import = Sign},
      {.name = "Sin", .becomes = ops::kSin, .import = Same<ops::kSin>},
      {.name = "Sqrt", .becomes = ops::kSqrt, .import = Same<ops::kSqrt>},
      {.name = "Add", .becomes = ops::kAdd, .import = Same<ops::kAdd>, .fold = FoldArithmetic},
      {.name = "Sub", .becomes = ops::kSub, .import = Same<ops::kSub>, .fold = FoldArithmetic},
      {.name = "Mul", .becomes = ops::kMul, .import = Same<ops::kMul>, .fold = FoldArithmetic},
      {.name = "Div", .becomes = ops::kDiv, .import = Same<ops::kDiv>, .fold = FoldArithmetic},
      {.name = "Pow", .becomes = ops::kPow, .import = Same<ops::kPow>, .fold = FoldArithmetic},
      {.name = "Max",
       .becomes = ops::kMaximum,
       .import = Chain<ops::kMaximum, false>,
       .fold = FoldArithmetic},
      {.name = "Min",
       .becomes = ops::kMinimum,
       .import = Chain<ops::kMinimum, false>,
       .fold = FoldArithmetic},
      {.name = "Sum", .becomes = ops::kAdd, .import = Chain<ops::kAdd, false>},
      {.name = "Mean", .becomes = "add, div", .import = Chain<ops::kAdd, true>},
      {.name = "Where", .becomes = ops::kWhere, .import = Same<ops::kWhere>, .fold = FoldWhere},
      {.name = "Clip",
       .becomes = "relu, relu6, hardtanh, or maximum and minimum",
       .import = Clip,
       .reads_codes = true},
      {.name = "Softmax", .becomes = ops::kSoftmax, .import = SoftmaxOf<ops::kSoftmax>},
      {.name = "LogSoftmax", .becomes = ops::kLogSoftmax, .import = SoftmaxOf<ops::kLogSoftmax>},
      {.name = "Dropout",
       .becomes = "nothing",
       .limits = "inference",
       .import = Dropout,
       .keeps_rounding = true},
      {.name = "Identity",
       .becomes = "nothing",
       .import = Identity,
       .moves = 1,
       .keeps_rounding = true},
  };
}

}  // namespace mase
