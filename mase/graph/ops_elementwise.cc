// Ops that work element by element, and element by element of two broadcast inputs.
#include <string>
#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/ops.h"

namespace mase {
namespace {

OpCost PerElement(Infos inputs, Infos, const Attributes&) { return {0, Elements(inputs[0])}; }
OpCost PerResult(Infos, Infos results, const Attributes&) { return {0, Elements(results[0])}; }

InfosOr Broadcast(Infos inputs, const Attributes&) {
  MASE_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(inputs[0].shape, inputs[1].shape));
  return OneResult(inputs, std::move(shape));
}

OpSchema Unary(absl::string_view name, absl::string_view module_class, bool quantizable,
               std::vector<AttributeSpec> attributes = {}, absl::string_view repr = "") {
  return {.name = name,
          .module_class = module_class,
          .module_type = "module_related_func",
          .function_type = "module_related_func",
          .arguments = {{"input"}},
          .attributes = std::move(attributes),
          .quantizable = quantizable,
          .shape_rule = SameAsInput,
          .cost_rule = PerElement,
          .repr = repr};
}

OpSchema Binary(absl::string_view name, bool quantizable) {
  return {.name = name,
          .function_type = "builtin_func",
          .arguments = {{"input"}, {"other"}},
          .quantizable = quantizable,
          .shape_rule = Broadcast,
          .cost_rule = PerResult};
}

const AttributeSpec kInplace = {"inplace", false};
constexpr absl::string_view kInplaceRepr = "[inplace:inplace=True]";

}  // namespace

std::vector<OpSchema> ElementwiseOps() {
  return {
      Unary("relu", "ReLU", true, {kInplace}, kInplaceRepr),
      Unary("relu6", "ReLU6", false, {kInplace}, kInplaceRepr),
      Unary("gelu", "GELU", true, {{"approximate", std::string("none")}},
            "approximate={approximate}"),
      Unary("selu", "SELU", true, {kInplace}, kInplaceRepr),
      Unary("elu", "ELU", false, {{"alpha", 1.0}, kInplace},
            "alpha={alpha}[inplace:, inplace=True]"),
      Unary("silu", "SiLU", true, {kInplace}, kInplaceRepr),
      Unary("tanh", "Tanh", true),
      Unary("softsign", "Softsign", true),
      Unary("softplus", "Softplus", true, {{"beta", 1.0}, {"threshold", 20.0}},
            "beta={beta}, threshold={threshold}"),
      Unary("sigmoid", "Sigmoid", false),
      Unary("logsigmoid", "LogSigmoid", false),
      Unary("hardswish", "Hardswish", false, {kInplace}),
      Unary("hardsigmoid", "Hardsigmoid", false, {kInplace}),
      Unary("hardtanh", "Hardtanh", false, {{"min_val", -1.0}, {"max_val", 1.0}, kInplace},
            "min_val={min_val}, max_val={max_val}[inplace:, inplace=True]"),
      Unary("hardshrink", "Hardshrink", false, {{"lambd", 0.5}}, "{lambd}"),
      Unary("softshrink", "Softshrink", false, {{"lambd", 0.5}}, "{lambd}"),
      Unary("identity", "Identity", false),
      Binary("add", true),
      Binary("sub", true),
      Binary("mul", true),
      Binary("div", false),
  };
}

}  // namespace mase
