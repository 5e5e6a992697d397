// Example plugin: an op from outside, the activation squareplus(x) = (x + sqrt(x^2 + b)) / 2 of
// Barron (arXiv:2112.11687), with its gradient, so that nets with it train, and its cost.
//
//   cat > net.toml << 'END'
//   dataset = "jsc-sim"
//   model.layers = ["linear 16", "squareplus", "linear classes"]
//   END
//   $SDK/bin/ch train --config=net.toml --plugins=./squareplus.so --max_epochs=2
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "mase/graph/op_function.h"
#include "mase/graph/op_schema.h"
#include "mase/plugin/plugin.h"

namespace squareplus {

struct Squareplus {
  template <typename T>
  static absl::Status Forward(const mase::OpCall<T>& call) {
    const T b = static_cast<T>(call.attributes.Float("b"));
    const mase::OpArray<const T>& x = call.inputs[0];
    for (int64_t i = 0; i < x.elements(); ++i) {
      call.result[i] = (x[i] + std::sqrt(x[i] * x[i] + b)) / 2;
    }
    return absl::OkStatus();
  }

  template <typename T>
  static absl::Status Backward(const mase::OpGradients<T>& call) {
    if (call.diff_inputs[0].data == nullptr) return absl::OkStatus();
    const T b = static_cast<T>(call.attributes.Float("b"));
    const mase::OpArray<const T>& x = call.inputs[0];
    for (int64_t i = 0; i < x.elements(); ++i) {
      const T slope = (1 + x[i] / std::sqrt(x[i] * x[i] + b)) / 2;
      call.diff_inputs[0][i] = call.diff_result[i] * slope;
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<std::vector<mase::ValueInfo>> SameShape(absl::Span<const mase::ValueInfo> inputs,
                                                       const mase::Attributes&) {
  return std::vector<mase::ValueInfo>{inputs[0]};
}

// Two multiplications, two additions and a root for each element.
mase::OpCost Cost(absl::Span<const mase::ValueInfo> inputs, absl::Span<const mase::ValueInfo>,
                  const mase::Attributes&) {
  const int64_t elements = inputs[0].shape.elements();
  return {.macs = 0, .other = 5 * elements, .flops = 5 * elements};
}

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddOp<Squareplus>({.name = "squareplus",
                                      .doc = "(x + sqrt(x^2 + b)) / 2",
                                      .module_class = "Squareplus",
                                      .module_type = "module_related_func",
                                      .function_type = "module_related_func",
                                      .arguments = {{"input"}},
                                      .attributes = {{"b", 4.0}},
                                      .traits = static_cast<uint32_t>(mase::OpTrait::kActivation),
                                      .quantizable = true,
                                      .shape_rule = SameShape,
                                      .cost = {.other = "5 n", .flops = "5 n", .count = Cost},
                                      .repr = "b={b}"});
}

}  // namespace squareplus

MASE_DEFINE_PLUGIN("squareplus", "1.0.0", squareplus::Register, .owner = "MASE in C++",
                   .status = "stable")
