#include "mase/quantize/reference.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

using Names = std::vector<absl::string_view>;

Names Join(std::initializer_list<Names> parts) {
  Names all;
  for (const Names& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// The formats that MASE has for an op in working order, by kind of node.
struct ReferenceOp {
  absl::string_view op;
  Names functions, modules;
};

// MASE's maps of quantised functions and modules, without the entries that fail whatever they are
// given: add, sub and mul in log (a key that the parser drops), sub in block_log, products in
// ternary, and tanh, softsign and softplus in all (an argument that torch does not know).
const std::vector<ReferenceOp>& ReferenceOps() {
  static const auto& ops = *[] {
    const Names integer = {"integer"}, log = {"log"}, block_log = {"block_log"};
    const Names bits = {"binary", "ternary"};
    const Names minifloats = {"minifloat_ieee", "minifloat_denorm"};
    const Names blocks = {"block_fp", "block_minifloat"};
    const Names mx = {"mxint", "mxfp"};
    const Names ten = Join({integer, minifloats, log, blocks, block_log, bits});
    const Names sums = Join({integer, minifloats, blocks, block_log, bits});
    const Names products = Join({integer, minifloats, log, blocks, block_log, {"binary"}, mx});
    const Names softmax = Join({mx, {"minifloat"}});
    return new std::vector<ReferenceOp>{
        {"add", sums, {}},
        {"sub", Join({integer, minifloats, blocks, bits}), {}},
        {"mul", sums, {}},
        {"matmul", products, {}},
        {"bmm", products, {}},
        {"relu", ten, ten},
        {"selu", ten, ten},
        {"silu", softmax, ten},
        {"gelu", {}, Join({integer, minifloats, log, bits})},
        {"softmax", softmax, softmax},
        {"linear",
         {},
         Join({ten, {"binary_residual", "logicnets", "flexround", "mxint_hardware"}, mx})},
        {"conv1d", {}, Join({ten, {"flexround"}})},
        {"conv2d", {}, Join({ten, {"binary_residual", "flexround"}})},
        {"convtranspose2d", {}, Join({integer, minifloats, log, {"binary"}})},
        {"avg_pool2d", {}, Join({integer, bits})},
        {"adaptive_avg_pool2d", {}, integer},
        {"batch_norm1d", {}, integer},
        {"batch_norm2d", {}, Join({integer, {"binary"}})},
        {"layer_norm", {}, integer},
        {"group_norm", {}, integer},
        {"instance_norm2d", {}, integer},
    };
  }();
  return ops;
}

template <typename... Parts>
absl::Status Refuse(const Node& node, const Parts&... parts) {
  return absl::InvalidArgumentError(
      absl::StrCat("REFERENCE semantics: MASE's ", node.op(),
                   node.kind() == NodeKind::kCallModule ? " module " : " function ", parts...));
}

// Shapes and attributes at which MASE's quantised ops fail.
absl::Status CheckLimits(const Node& node, absl::string_view format, const InferredShapes& shapes) {
  const Shape& x = shapes.shape(node.inputs()[0]);
  const Attributes& attributes = node.attributes();
  if (node.op() == "relu" && node.kind() != NodeKind::kCallModule && format == "block_log" &&
      x.rank() < 3) {
    return Refuse(node, "in block_log takes inputs of rank 3 and more, not ", x.ToString());
  }
  // There `bias and ...` asks a tensor whether it is true.
  if (node.op() == "convtranspose2d" && attributes.Bool("bias") &&
      attributes.Int("out_channels") > 1) {
    return Refuse(node, "takes no bias with more than one output channel");
  }
  if (node.op() == "layer_norm" && attributes.Bool("elementwise_affine")) {
    return Refuse(node, "takes elementwise_affine=False alone");
  }
  if (node.op() == "instance_norm2d" && attributes.Bool("affine")) {
    return Refuse(node, "takes affine=False alone");
  }
  if (node.op() == "adaptive_avg_pool2d") {
    for (int axis : {2, 3}) {
      const int64_t wanted = attributes.Ints("output_size")[axis - 2];
      if (x[axis] % wanted == 0) continue;
      return Refuse(node, "averages padding in where the output size does not divide the input's (",
                    x.ToString(), ", output_size ", wanted, " on axis ", axis, ")");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsReference(const Node& node) {
  return node.quantization() != nullptr &&
         absl::c_any_of(node.quantization()->operand(), [](const OperandFormat& operand) {
           return operand.format().semantics() == FormatProto::REFERENCE;
         });
}

absl::Status CheckReference(const Node& node, absl::string_view format,
                            const InferredShapes& shapes) {
  const Family* family = FindFamily(format);
  const absl::string_view name = family == nullptr ? format : family->name;
  const auto op = absl::c_find_if(ReferenceOps(),
                                  [&](const ReferenceOp& entry) { return entry.op == node.op(); });
  if (op == ReferenceOps().end()) {
    Names ops;
    for (const ReferenceOp& entry : ReferenceOps()) ops.push_back(entry.op);
    return Refuse(node, "cannot be quantized; those that can are ", absl::StrJoin(ops, ", "));
  }
  const Names& formats = node.kind() == NodeKind::kCallModule ? op->modules : op->functions;
  if (formats.empty()) return Refuse(node, "cannot be quantized in any format");
  if (!absl::c_linear_search(formats, name)) {
    return Refuse(node, "cannot be quantized in ", format, ", only in ",
                  absl::StrJoin(formats, ", "));
  }
  return CheckLimits(node, name, shapes);
}

Attributes EffectiveAttributes(const Node& node) {
  Attributes attributes = node.attributes();
  if (node.op() == "layer_norm" && IsReference(node)) attributes.Set("eps", 1e-5);
  return attributes;
}

bool IgnoresTensor(const Node& node, absl::string_view tensor) {
  return node.op() == "group_norm" && (tensor == "weight" || tensor == "bias") && IsReference(node);
}

}  // namespace mase
