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

namespace mase {
namespace {

using Names = std::vector<absl::string_view>;

// Ops of formats that MASE does not have for every op; empty: all.
Names OpsOfFormat(absl::string_view format) {
  if (format == "binary_residual" || format == "lutnet" || format == "logicnets") {
    return {"linear", "conv2d"};
  }
  if (format == "flexround") return {"linear", "conv1d", "conv2d"};
  return {};
}

bool OwnsInput(const Node& node, absl::string_view operand) {
  return node.FindParameter(operand) != nullptr;
}

// The operands that get a format, in the record's order.
Names QuantizedOperands(const Node& node, const RuleFormat& rule) {
  const absl::string_view op = node.op();
  const bool module = node.kind() == NodeKind::kCallModule;
  const bool bits = rule.name == "binary" || rule.name == "ternary";
  // A binary or ternary activation module hands its input on as it is.
  if (bits && module && IsActivation(op)) return {};
  // One- and two-bit linear and conv2d layers have such weights alone.
  if (bits && (op == "linear" || op == "conv2d")) return {"weight"};
  Names operands = {"data_in"};
  if (rule.name == "binary_residual") {
    if (!rule.residual_input) operands.clear();
    operands.push_back("weight");
    return operands;
  }
  if (IsProduct(op)) operands.push_back("weight");
  const bool optional = !IsLayer(op);  // Norms: what is given.
  for (absl::string_view operand : {"weight", "bias"}) {
    if (!OwnsInput(node, operand)) continue;
    if (optional && rule.given.count(std::string(operand)) == 0) continue;
    operands.push_back(operand);
  }
  if (IsLayer(op) && rule.given.count("data_out") > 0) operands.push_back("data_out");
  return operands;
}

absl::StatusOr<FormatProto> Given(const RuleFormat& rule, absl::string_view operand) {
  const auto it = rule.given.find(std::string(operand));
  if (it != rule.given.end()) return it->second;
  // Nothing was given: says what is missing, or that the format needs nothing.
  return FormatFromParameters(rule.name, FormatParameters(), operand);
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
}

// The weights under binary_residual inputs are plain binary.
void MakeBinary(FormatProto* format) {
  const BinaryResidualFormat residual = format->binary_residual();
  format->mutable_binary()->set_stochastic(residual.stochastic());
  format->mutable_binary()->set_bipolar(residual.bipolar());
}

}  // namespace

absl::StatusOr<RuleFormat> CheckConfig(const QuantizeConfig& config,
                                       FormatProto::Semantics semantics) {
  RuleFormat rule = {.name = config.name(), .bypass = config.bypass()};
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
    if (config.floor()) adapted.set_floor(true);
    MASE_ASSIGN_OR_RETURN(FormatProto format,
                          FormatFromParameters(config.name(), adapted, operand));
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
                     .class_suffix = std::string(format->class_suffix())};
  for (const char* operand : {"data_in", "weight", "bias"}) rule.given[operand] = proto;
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
  const bool weight_only = (rule.name == "binary" || rule.name == "ternary") && IsLayer(op);
  if (!weight_only) MASE_RETURN_IF_ERROR(Given(rule, "data_in").status());
  if (IsLayer(op) || IsProduct(op)) return Given(rule, "weight").status();
  return absl::OkStatus();
}

absl::StatusOr<Quantization> QuantizationFor(const Node& node, const RuleFormat& rule,
                                             const InferredShapes& shapes) {
  MASE_RETURN_IF_ERROR(CheckOp(rule, node.op()));
  Quantization record;
  record.set_format(rule.name);
  record.set_class_suffix(rule.class_suffix);
  if (rule.bypass) return record;
  for (absl::string_view operand : QuantizedOperands(node, rule)) {
    MASE_ASSIGN_OR_RETURN(FormatProto format, Given(rule, operand));
    if (rule.name == "binary_residual" && operand == "weight") MakeBinary(&format);
    AdaptToOp(node, operand, shapes, &format);
    MASE_RETURN_IF_ERROR(Annotate(Format::Create(format).status(), operand));
    OperandFormat* entry = record.add_operand();
    entry->set_operand(std::string(operand));
    *entry->mutable_format() = std::move(format);
  }
  return record;
}

}  // namespace mase
