// Plugin `@NAME@`: an op, x / (scale + |x|), with gradient and cost. "@CLASS@" is then a word of layer
// lists.
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "mase/graph/op_function.h"
#include "mase/graph/op_schema.h"
#include "mase/plugin/plugin.h"

namespace @NAME@ {

struct @CLASS@ {
  template <typename T>
  static absl::Status Forward(const mase::OpCall<T>& call) {
    const T scale = static_cast<T>(call.attributes.Float("scale"));
    const mase::OpArray<const T>& x = call.inputs[0];
    for (int64_t i = 0; i < x.elements(); ++i) {
      call.result[i] = x[i] / (scale + std::fabs(x[i]));
    }
    return absl::OkStatus();
  }

  template <typename T>
  static absl::Status Backward(const mase::OpGradients<T>& call) {
    if (call.diff_inputs[0].data == nullptr) return absl::OkStatus();
    const T scale = static_cast<T>(call.attributes.Float("scale"));
    const mase::OpArray<const T>& x = call.inputs[0];
    for (int64_t i = 0; i < x.elements(); ++i) {
      const T below = scale + std::fabs(x[i]);
      call.diff_inputs[0][i] = call.diff_result[i] * scale / (below * below);
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<std::vector<mase::ValueInfo>> SameShape(absl::Span<const mase::ValueInfo> inputs,
                                                       const mase::Attributes&) {
  return std::vector<mase::ValueInfo>{inputs[0]};
}

// An addition and a division for each element.
mase::OpCost Cost(absl::Span<const mase::ValueInfo> inputs, absl::Span<const mase::ValueInfo>,
                  const mase::Attributes&) {
  const int64_t elements = inputs[0].shape.elements();
  return {.macs = 0, .other = 2 * elements, .flops = 2 * elements};
}

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddOp<@CLASS@>(
      {.name = "@NAME@",
       .doc = "x / (scale + |x|)",
       .module_class = "@CLASS@",
       .module_type = "module_related_func",
       .function_type = "module_related_func",
       .arguments = {{"input"}},
       .attributes = {{"scale", 1.0}},
       .traits = static_cast<uint32_t>(mase::OpTrait::kActivation),
       .quantizable = true,
       .shape_rule = SameShape,
       .cost = {.other = "2 n", .flops = "2 n", .count = Cost},
       .repr = "scale={scale}"});
}

}  // namespace @NAME@

// Who answers for it, and whether users may rely on it: `ch plugins describe` prints both.
MASE_DEFINE_PLUGIN("@NAME@", "1.0.0", @NAME@::Register, .owner = "", .status = "experimental")
