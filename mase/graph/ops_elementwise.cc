// Ops that work element by element, and element by element of two broadcast inputs.
#include <string>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/op_table.h"

namespace mase {
namespace {

OpCost PerResult(Infos, Infos results, const Attributes&) {
  return {0, Elements(results[0]), Elements(results[0])};
}

InfosOr Broadcast(Infos inputs, const Attributes&) {
  MASE_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(inputs[0].shape, inputs[1].shape));
  return OneResult(inputs, std::move(shape));
}

OpSchema Unary(absl::string_view name, absl::string_view module_class, absl::string_view doc,
               std::vector<AttributeSpec> attributes = {}, absl::string_view repr = "") {
  return {.name = name,
          .doc = doc,
          .module_class = module_class,
          .module_type = "module_related_func",
          .function_type = "module_related_func",
          .arguments = {{"input"}},
          .attributes = std::move(attributes),
          .traits = static_cast<uint32_t>(OpTrait::kActivation),
          .shape_rule = SameAsInput,
          .cost = PerElement(),
          .repr = repr};
}

OpSchema Binary(absl::string_view name, absl::string_view doc) {
  return {.name = name,
          .doc = doc,
          .function_type = "builtin_func",
          .arguments = {{"input"}, {"other"}},
          .traits = static_cast<uint32_t>(OpTrait::kArithmetic),
          .shape_rule = Broadcast,
          .cost = {"m", "m", PerResult}};
}

// A function that PyTorch has no layer of.
OpSchema Function(absl::string_view name, absl::string_view doc) {
  OpSchema schema = Unary(name, "", doc);
  schema.module_type = {};
  schema.function_type = "builtin_func";
  return schema;
}

InfosOr WhereShape(Infos inputs, const Attributes&) {
  MASE_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(inputs[0].shape, inputs[1].shape));
  MASE_ASSIGN_OR_RETURN(shape, BroadcastShapes(shape, inputs[2].shape));
  return OneResult(inputs, std::move(shape));
}

OpSchema Quantizable(OpSchema schema) {
  schema.quantizable = true;
  return schema;
}

OpSchema Cutting(OpSchema schema) {
  schema.traits = schema.traits | OpTrait::kCutsNegatives;
  return schema;
}

// An op that the given conventions' authors count themselves.
OpSchema Published(OpSchema schema, uint32_t conventions) {
  schema.cost.published = conventions;
  return schema;
}

OpSchema Identity() {
  OpSchema schema = Unary(ops::kIdentity, "Identity", "x");
  schema.traits = static_cast<uint32_t>(OpTrait::kRenames);
  schema.input_types = InputTypes::kAny;
  schema.cost = {};
  return schema;
}

const AttributeSpec kInplace = {"inplace", false};
constexpr absl::string_view kInplaceRepr = "[inplace:inplace=True]";

}  // namespace

std::vector<OpSchema> ElementwiseOps() {
  return {
      Published(
          Quantizable(Cutting(Unary(ops::kRelu, "ReLU", "max(x, 0)", {kInplace}, kInplaceRepr))),
          kMac | kFlop),
      Published(Cutting(Unary(ops::kRelu6, "ReLU6", "min(max(x, 0), 6)", {kInplace}, kInplaceRepr)),
                kMac),
      Quantizable(Unary(ops::kGelu, "GELU", "x Phi(x), Phi the normal distribution's",
                        {{"approximate", std::string("none")}}, "approximate={approximate}")),
      Quantizable(Unary(ops::kSelu, "SELU", "1.0507 (x, or 1.6733 (e^x - 1) below 0)", {kInplace},
                        kInplaceRepr)),
      Unary(ops::kElu, "ELU", "x, or alpha (e^x - 1) below 0", {{"alpha", 1.0}, kInplace},
            "alpha={alpha}[inplace:, inplace=True]"),
      Quantizable(Unary(ops::kSilu, "SiLU", "x / (1 + e^-x)", {kInplace}, kInplaceRepr)),
      Quantizable(Unary(ops::kTanh, "Tanh", "tanh x")),
      Quantizable(Unary(ops::kSoftsign, "Softsign", "x / (1 + |x|)")),
      Quantizable(
          Unary(ops::kSoftplus, "Softplus", "log(1 + e^(beta x)) / beta, x above the threshold",
                {{"beta", 1.0}, {"threshold", 20.0}}, "beta={beta}, threshold={threshold}")),
      Unary(ops::kSigmoid, "Sigmoid", "1 / (1 + e^-x)"),
      Unary(ops::kLogSigmoid, "LogSigmoid", "-log(1 + e^-x)"),
      Unary(ops::kHardswish, "Hardswish", "x min(max(x + 3, 0), 6) / 6", {kInplace}),
      Unary(ops::kHardsigmoid, "Hardsigmoid", "min(max(x + 3, 0), 6) / 6", {kInplace}),
      Unary(ops::kHardtanh, "Hardtanh", "min(max(x, min_val), max_val)",
            {{"min_val", -1.0}, {"max_val", 1.0}, kInplace},
            "min_val={min_val}, max_val={max_val}[inplace:, inplace=True]"),
      Unary(ops::kHardshrink, "Hardshrink", "x, or 0 where |x| <= lambd", {{"lambd", 0.5}},
            "{lambd}"),
      Unary(ops::kSoftshrink, "Softshrink", "x moved by lambd towards 0, or 0", {{"lambd", 0.5}},
            "{lambd}"),
      Unary(ops::kLeakyRelu, "LeakyReLU", "x, or negative_slope x below 0",
            {{"negative_slope", 0.01}, kInplace},
            "negative_slope={negative_slope}[inplace:, inplace=True]"),
      Function(ops::kAbs, "|x|"),
      Function(ops::kCeil, "the smallest whole number that is not below x"),
      Function(ops::kCos, "cos x"),
      Function(ops::kErf, "2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x"),
      Function(ops::kExp, "e^x"),
      Function(ops::kFloor, "the largest whole number that is not above x"),
      Function(ops::kLog, "the natural logarithm"),
      Function(ops::kNeg, "-x"),
      Function(ops::kReciprocal, "1 / x"),
      Function(ops::kRound, "the nearest whole number, the even one of two"),
      Function(ops::kSin, "sin x"),
      Function(ops::kSqrt, "the square root"),
      Identity(),
      Published(Quantizable(Binary(ops::kAdd, "x + y, broadcast")), kMac),
      Quantizable(Binary(ops::kSub, "x - y, broadcast")),
      Quantizable(Binary(ops::kMul, "x y, broadcast")),
      Binary(ops::kDiv, "x / y, broadcast"),
      Binary(ops::kPow, "x^y, broadcast"),
      Binary(ops::kMaximum, "the larger of x and y, broadcast; NaN if one is"),
      Binary(ops::kMinimum, "the smaller of x and y, broadcast; NaN if one is"),
      Binary(ops::kGt, "1 where x > y, else 0; broadcast"),
      Binary(ops::kGe, "1 where x >= y, else 0; broadcast"),
      Binary(ops::kEq, "1 where x = y, else 0; broadcast"),
      {.name = ops::kWhere,
       .doc = "x where the condition is not 0, else y; broadcast",
       .function_type = "builtin_func",
       .arguments = {{"condition"}, {"input"}, {"other"}},
       .shape_rule = WhereShape,
       .cost = {"m", "m", PerResult}},
  };
}

}  // namespace mase
