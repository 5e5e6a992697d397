#include "mase/quantize/rule.h"

#include <memory>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/quantize/operands.h"
#include "mase/quantize/reference.h"

namespace mase {
namespace {

using Names = std::vector<absl::string_view>;

// Layers with a weight of their own to round.
bool HasWeights(absl::string_view op) { return IsLayer(op) || op == "convtranspose2d"; }

bool IsBits(const RuleFormat& rule) { return rule.name == "binary" || rule.name == "ternary"; }

// Formats whose weights need more than rounding exist for some layers alone; empty: for all ops.
Names OpsOfFormat(absl::string_view format) {
  if (format == "binary_residual" || format == "lutnet" || format == "logicnets") {
    return {"linear", "conv2d"};
  }
  if (format == "flexround") return {"linear", "conv1d", "conv2d"};
  return {};
}

// The operands of formats that have their own idea of them; empty: those of the op.
Names OperandsOfFormat(const Node& node, const RuleFormat& rule) {
  if (rule.name == "binary_residual" || rule.name == "lutnet") {
    return rule.residual_input ? Names{"data_in", "weight"} : Names{"weight"};
  }
  // Truth tables know rounded inputs and outputs; the sum inside is exact.
  if (rule.name == "logicnets") return {"data_in", "data_out"};
  // A FlexRound layer rounds its output and not its input.
  if (rule.name == "flexround") return {"weight", "data_out"};
  // One- and two-bit linear and conv2d layers have such weights alone.
  if (IsBits(rule) && (node.op() == "linear" || node.op() == "conv2d")) return {"weight"};
  return {};
}

// The operands that get a format, in the record's order.
Names QuantizedOperands(const Node& node, const RuleFormat& rule) {
  // Other binary and ternary modules without weights, and norms, hand their input on as it is.
  if (IsBits(rule) && node.kind() == NodeKind::kCallModule && !HasWeights(node.op())) return {};
  Names operands = OperandsOfFormat(node, rule);
  if (!operands.empty()) return operands;
  operands.push_back("data_in");
  // MASE's product in block_log forgets its second input.
  const bool forgotten = rule.reference() && rule.name == "block_log";
  if (IsProduct(node.op()) && !forgotten) operands.push_back("weight");
  for (absl::string_view operand : {"weight", "bias"}) {
    if (node.FindParameter(operand) == nullptr) continue;
    if (TensorOperand(node, operand, rule.reference()).empty()) continue;
    const bool optional = !HasWeights(node.op());  // Norms: what is given.
    if (optional && rule.given.count(std::string(operand)) == 0) continue;
    operands.push_back(operand);
  }
  if (HasWeights(node.op()) && rule.given.count("data_out") > 0) operands.push_back("data_out");
  return operands;
}

// FlexRound outputs are integers of data_in's widths, 8 and 4 by default.
FormatProto FlexRoundOutput(const RuleFormat& rule) {
  FormatProto format;
  format.set_semantics(rule.semantics);
  const auto it = rule.given.find("data_in");
  const FlexRoundFormat given = it == rule.given.end() ? FlexRoundFormat() : it->second.flexround();
  format.mutable_integer()->set_width(given.has_width() ? given.width() : 8);
  format.mutable_integer()->set_frac_width(given.has_frac_width() ? given.frac_width() : 4);
  return format;
}

absl::StatusOr<FormatProto> Given(const RuleFormat& rule, absl::string_view operand) {
  const auto it = rule.given.find(std::string(operand));
  if (it != rule.given.end()) return it->second;
  // Nothing was given: says what is missing, or that the format needs nothing.
  MASE_ASSIGN_OR_RETURN(FormatProto format, FormatFromParameters(rule.name, {}, operand));
  format.set_semantics(rule.semantics);
  return format;
}

// What the config gives an operand of this node, which is not always under the operand's own keys.
absl::StatusOr<FormatProto> FormatOf(const Node& node, const RuleFormat& rule,
                                     absl::string_view operand) {
  if (rule.name == "flexround" && operand == "data_out") return FlexRoundOutput(rule);
  // MASE's one- and two-bit conv1d rounds all its operands by the input's keys.
  const bool by_input = rule.reference() && IsBits(rule) && node.op() == "conv1d";
  MASE_ASSIGN_OR_RETURN(FormatProto format, Given(rule, by_input ? "data_in" : operand));
  // The weights under residual signs are plain binary.
  if (operand == "weight" && format.has_binary_residual()) {
    const BinaryResidualFormat residual = format.binary_residual();
    format.mutable_binary()->set_stochastic(residual.stochastic());
    format.mutable_binary()->set_bipolar(residual.bipolar());
  } else if (operand == "weight" && format.has_lutnet()) {
    format.mutable_binary()->set_bipolar(true);
  }
  // MASE's conv2d has the blocks of its bias in all operands.
  if (rule.reference() && node.op() == "conv2d" && format.has_block_log()) {
    MASE_ASSIGN_OR_RETURN(const FormatProto bias, Given(rule, "bias"));
    *format.mutable_block_log()->mutable_block_size() = bias.block_log().block_size();
  }
  return format;
}

// MASE's settings that the op decides, where the config does not.
void AdaptToOp(const Node& node, absl::string_view operand, const InferredShapes& shapes,
               FormatProto* format) {
  const bool reference = format->semantics() == FormatProto::REFERENCE;
  // What comes before a relu is cut at zero anyway, so the sign bit is spent on range.
  // MASE does the same to activations that keep negative values.
  const bool cut = node.op() == "relu" || (reference && IsActivation(node.op()));
  if (cut && format->has_integer() && !format->integer().has_is_signed()) {
    format->mutable_integer()->set_is_signed(false);
  }
  // Of the tensors of an operand that have a shape of their own, only a product's second input
  // may differ in rank.
  const int input = operand == "weight" && IsProduct(node.op()) ? 1 : 0;
  const Shape& shape = shapes.shape(node.inputs()[input]);
  FillSkipFirstDim(SkipsFirstDim(node, operand, shape, shapes), format);
  // The second input of a product is summed along its last axis but one. MASE takes the last.
  if (input == 1 && !reference) {
    if (format->has_mxint() && !format->mxint().has_block_dim()) {
      format->mutable_mxint()->set_block_dim(-2);
    }
    if (format->has_mxfp() && !format->mxfp().has_block_dim()) {
      format->mutable_mxfp()->set_block_dim(-2);
    }
  }
}

}  // namespace

absl::StatusOr<RuleFormat> CheckConfig(const QuantizeConfig& config,
                                       FormatProto::Semantics semantics) {
  RuleFormat rule = {.name = config.name(), .semantics = semantics, .bypass = config.bypass()};
  if (config.name().empty() || config.name() == "NA") return RuleFormat();
  const Family* family = FindFamily(config.name());
  if (family == nullptr) return FormatFromParameters(config.name(), {}, "").status();
  rule.class_suffix = std::string(family->class_suffix);
  const std::string& gradient = config.gradient();
  if (!gradient.empty() && gradient != "straight_through" && gradient != "clamp_aware") {
    return absl::InvalidArgumentError(
        absl::StrCat("gradient '", gradient, "': want straight_through or clamp_aware"));
  }
  if (config.data_in().has_residual_sign()) rule.residual_input = config.data_in().residual_sign();

  const std::pair<absl::string_view, const FormatParameters*> operands[] = {
      {"data_in", &config.data_in()},
      {"weight", &config.weight()},
      {"bias", &config.bias()},
      {"data_out", &config.data_out()}};
  for (const auto& [operand, parameters] : operands) {
    if (parameters->ByteSizeLong() == 0 || rule.bypass) continue;
    FormatParameters adapted = *parameters;
    adapted.clear_name();
    if (config.floor()) adapted.set_floor(true);
    const std::string& name = parameters->has_name() ? parameters->name() : config.name();
    MASE_ASSIGN_OR_RETURN(FormatProto format, FormatFromParameters(name, adapted, operand));
    format.set_semantics(semantics);
    if (config.gradient() == "clamp_aware") format.set_gradient(FormatProto::CLAMP_AWARE);
    MASE_RETURN_IF_ERROR(Annotate(Format::Create(format).status(), operand));
    rule.given[std::string(operand)] = std::move(format);
  }
  return rule;
}

absl::StatusOr<RuleFormat> UniformRule(const FormatProto& proto) {
  MASE_ASSIGN_OR_RETURN(const auto format, Format::Create(proto));
  RuleFormat rule = {.name = std::string(format->family()),
                     .class_suffix = std::string(format->class_suffix()),
                     .semantics = proto.semantics()};
  for (const char* operand : {"data_in", "weight", "bias"}) rule.given[operand] = proto;
  if (proto.has_logicnets()) rule.given["data_out"] = proto;
  return rule;
}

absl::Status CheckOp(const RuleFormat& rule, absl::string_view op) {
  if (rule.leaves_alone()) return absl::OkStatus();
  const Names ops = OpsOfFormat(rule.name);
  if (!ops.empty() && !absl::c_linear_search(ops, op)) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no ", op, " in ", rule.name, ", only ", absl::StrJoin(ops, ", ")));
  }
  if (rule.bypass) return absl::OkStatus();
  const bool weight_only = IsBits(rule) && (op == "linear" || op == "conv2d");
  if (!weight_only) MASE_RETURN_IF_ERROR(Given(rule, "data_in").status());
  const bool by_input =
      rule.name == "logicnets" || (rule.reference() && IsBits(rule) && op == "conv1d");
  if ((HasWeights(op) || IsProduct(op)) && !by_input) return Given(rule, "weight").status();
  return absl::OkStatus();
}

absl::StatusOr<Quantization> QuantizationFor(const Node& node, const RuleFormat& rule,
                                             const InferredShapes& shapes) {
  MASE_RETURN_IF_ERROR(CheckOp(rule, node.op()));
  Quantization record;
  record.set_format(rule.name);
  record.set_class_suffix(rule.class_suffix);
  if (rule.bypass) return record;
  if (rule.reference()) MASE_RETURN_IF_ERROR(CheckReference(node, rule.name, shapes));
  for (absl::string_view operand : QuantizedOperands(node, rule)) {
    MASE_ASSIGN_OR_RETURN(FormatProto format, FormatOf(node, rule, operand));
    AdaptToOp(node, operand, shapes, &format);
    MASE_RETURN_IF_ERROR(Annotate(Format::Create(format).status(), operand));
    OperandFormat* entry = record.add_operand();
    entry->set_operand(std::string(operand));
    *entry->mutable_format() = std::move(format);
  }
  return record;
}

}  // namespace mase
