#include "mase/quantize/reference.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/format/family.h"

namespace mase {
namespace {

using Names = ReferenceOp::Names;

Names Join(std::initializer_list<Names> parts) {
  Names all;
  for (const Names& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::string ReluLimit(const Node& node, absl::string_view format, const InferredShapes& shapes) {
  const Shape& x = shapes.shape(node.inputs()[0]);
  const bool fails = node.kind() != NodeKind::kCallModule && format == "block_log" && x.rank() < 3;
  return fails ? absl::StrCat("in ", format, " takes inputs of rank 3 and more, not ", x.ToString())
               : "";
}

// `bias and ...` asks a tensor whether it is true.
std::string TransposedLimit(const Node& node, absl::string_view, const InferredShapes&) {
  const bool fails = node.attributes().Bool("bias") && node.attributes().Int("out_channels") > 1;
  return fails ? "takes no bias with more than one output channel" : "";
}

std::string AdaptivePoolLimit(const Node& node, absl::string_view, const InferredShapes& shapes) {
  const Shape& x = shapes.shape(node.inputs()[0]);
  for (int axis : {2, 3}) {
    const int64_t wanted = node.attributes().Ints("output_size")[axis - 2];
    if (x[axis] % wanted == 0) continue;
    return absl::StrCat("averages padding in where the output size does not divide the input's (",
                        x.ToString(), ", output_size ", wanted, " on axis ", axis, ")");
  }
  return "";
}

// MASE's maps of quantized functions and modules, without the entries that fail whatever they are
// given: add, sub and mul in log (a key that the parser drops), sub in block_log, products in
// ternary, and tanh, softsign and softplus in all (an argument that torch does not know).
const std::vector<ReferenceOp>& ReferenceOps() {
  static const auto& table = *[] {
    const Names integer = {"integer"}, log = {"log"}, block_log = {"block_log"};
    const Names bits = {"binary", "ternary"};
    const Names minifloats = {"minifloat_ieee", "minifloat_denorm"};
    const Names blocks = {"block_fp", "block_minifloat"};
    const Names mx = {"mxint", "mxfp"};
    const Names ten = Join({integer, minifloats, log, blocks, block_log, bits});
    const Names sums = Join({integer, minifloats, blocks, block_log, bits});
    const Names products = Join({integer, minifloats, log, blocks, block_log, {"binary"}, mx});
    const Names softmax = Join({mx, {"minifloat"}});
    constexpr MaseVersion k2024 = MaseVersion::kFebruary2024, k2026 = MaseVersion::kApril2026;
    const std::vector<TensorRole> none;
    return new std::vector<ReferenceOp>{
        {.op = ops::kAdd, .taken_since = k2024, .functions = sums},
        {.op = ops::kSub,
         .taken_since = k2024,
         .functions = Join({integer, minifloats, blocks, bits})},
        {.op = ops::kMul, .taken_since = k2024, .functions = sums},
        {.op = ops::kMatmul,
         .taken_since = k2024,
         .functions = products,
         .without_second_input = block_log},
        {.op = ops::kBmm,
         .taken_since = k2024,
         .functions = products,
         .without_second_input = block_log},
        {.op = ops::kRelu,
         .taken_since = k2024,
         .functions = ten,
         .modules = ten,
         .is_unsigned = true,
         .folds_modules = true,
         .limit = ReluLimit},
        {.op = ops::kSelu,
         .taken_since = k2026,
         .functions = ten,
         .modules = ten,
         .is_unsigned = true,
         .folds_modules = true},
        {.op = ops::kSilu,
         .functions = softmax,
         .modules = ten,
         .is_unsigned = true,
         .folds_modules = true},
        {.op = ops::kGelu,
         .taken_since = k2026,
         .modules = Join({integer, minifloats, log, bits}),
         .is_unsigned = true},
        {.op = ops::kTanh, .taken_since = k2026},
        {.op = ops::kSoftsign, .taken_since = k2026},
        {.op = ops::kSoftplus, .taken_since = k2026},
        {.op = ops::kSoftmax, .functions = softmax, .modules = softmax},
        {.op = ops::kLinear,
         .taken_since = k2024,
         .modules =
             Join({ten, {"binary_residual", "logicnets", "flexround", "mxint_hardware"}, mx})},
        {.op = ops::kConv1d,
         .taken_since = k2024,
         .modules = Join({ten, {"flexround"}}),
         .all_by_input = bits},
        {.op = ops::kConv2d,
         .taken_since = k2024,
         .modules = Join({ten, {"binary_residual", "flexround"}}),
         .blocks_of_bias = block_log,
         .folds_modules = true},
        {.op = ops::kConvTranspose2d,
         .taken_since = k2026,
         .modules = Join({integer, minifloats, log, {"binary"}}),
         .limit = TransposedLimit},
        {.op = ops::kAvgPool2d, .modules = Join({integer, bits})},
        {.op = ops::kAdaptiveAvgPool2d, .modules = integer, .limit = AdaptivePoolLimit},
        // The statistics are rounded too.
        {.op = ops::kBatchNorm1d,
         .modules = integer,
         .tensor_roles = {{{"weight", operands::kWeight},
                           {"bias", operands::kBias},
                           {"running_mean", operands::kWeight},
                           {"running_var", operands::kBias}}}},
        {.op = ops::kBatchNorm2d,
         .taken_since = k2026,
         .modules = Join({integer, {"binary"}}),
         .tensor_roles = none},
        {.op = ops::kLayerNorm,
         .taken_since = k2026,
         .modules = integer,
         .tensor_roles = none,
         .eps = 1e-5,
         .refused_flag = "elementwise_affine"},
        // A module that rounds nothing.
        {.op = ops::kRmsNorm, .taken_since = k2026},
        {.op = ops::kGroupNorm,
         .taken_since = k2026,
         .modules = integer,
         .tensor_roles = none,
         .drops_affine = true},
        {.op = ops::kInstanceNorm2d,
         .taken_since = k2026,
         .modules = integer,
         .tensor_roles = none,
         .refused_flag = "affine"},
    };
  }();
  return table;
}

template <typename... Parts>
absl::Status Refuse(const Node& node, const Parts&... parts) {
  return absl::InvalidArgumentError(
      absl::StrCat("REFERENCE semantics: MASE's ", node.op(),
                   node.kind() == NodeKind::kCallModule ? " module " : " function ", parts...));
}

}  // namespace

const ReferenceOp* FindReferenceOp(absl::string_view op) {
  for (const ReferenceOp& row : ReferenceOps()) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

bool IsTaken(absl::string_view op, MaseVersion version) {
  const ReferenceOp* row = FindReferenceOp(op);
  return row != nullptr && row->taken_since.has_value() && *row->taken_since <= version;
}

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
  const ReferenceOp* row = FindReferenceOp(node.op());
  const bool module = node.kind() == NodeKind::kCallModule;
  if (row == nullptr || (row->functions.empty() && row->modules.empty())) {
    Names ops;
    for (const ReferenceOp& entry : ReferenceOps()) {
      if (!entry.functions.empty() || !entry.modules.empty()) ops.push_back(entry.op);
    }
    return Refuse(node, "cannot be quantized; those that can are ", absl::StrJoin(ops, ", "));
  }
  const Names& formats = module ? row->modules : row->functions;
  if (formats.empty()) return Refuse(node, "cannot be quantized in any format");
  if (!absl::c_linear_search(formats, name)) {
    return Refuse(node, "cannot be quantized in ", format, ", only in ",
                  absl::StrJoin(formats, ", "));
  }
  if (!row->refused_flag.empty() && node.attributes().Bool(row->refused_flag)) {
    return Refuse(node, "takes ", row->refused_flag, "=False alone");
  }
  const std::string limit = row->limit == nullptr ? "" : row->limit(node, name, shapes);
  return limit.empty() ? absl::OkStatus() : Refuse(node, limit);
}

Attributes EffectiveAttributes(const Node& node) {
  Attributes attributes = node.attributes();
  const ReferenceOp* row = IsReference(node) ? FindReferenceOp(node.op()) : nullptr;
  if (row != nullptr && row->eps.has_value()) attributes.Set("eps", *row->eps);
  return attributes;
}

bool IgnoresTensor(const Node& node, absl::string_view tensor) {
  const ReferenceOp* row = IsReference(node) ? FindReferenceOp(node.op()) : nullptr;
  return row != nullptr && row->drops_affine && !node.schema().TensorOperand(tensor).empty();
}

}  // namespace mase
