#include "mase/quantize/rule.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/format/shared_format.h"
#include "mase/quantize/operands.h"
#include "mase/quantize/reference.h"

namespace mase {
namespace {

using Names = std::vector<absl::string_view>;

// MASE's word for none, of a whole node or of one operand.
constexpr absl::string_view kNone = "NA";

// Whether formats of the family know layers of this op by their weight alone.
bool RoundsWeightAlone(const Family& family, absl::string_view op) {
  return absl::c_linear_search(family.weight_alone_in, op);
}

// MASE's row of the op, for rules that follow it.
const ReferenceOp* ReferenceRow(const RuleFormat& rule, absl::string_view op) {
  return rule.reference() ? FindReferenceOp(op) : nullptr;
}

bool ForgetsSecondInput(const RuleFormat& rule, absl::string_view op) {
  const ReferenceOp* row = ReferenceRow(rule, op);
  return row != nullptr && absl::c_linear_search(row->without_second_input, rule.family->name);
}

bool RoundsAllByInput(const RuleFormat& rule, absl::string_view op) {
  const ReferenceOp* row = ReferenceRow(rule, op);
  return row != nullptr && absl::c_linear_search(row->all_by_input, rule.family->name);
}

bool IsGiven(const RuleFormat& rule, absl::string_view operand) {
  return rule.given.count(std::string(operand)) > 0;
}

// Whether a layer of this op rounds that operand only where the config gives it.
bool IsOptional(const RuleFormat& rule, const OpSchema& schema, absl::string_view operand) {
  if (operand == operands::kDataOut) return true;
  if (!schema.Is(OpTrait::kWeighted)) return operand != operands::kDataIn;  // Of norms.
  const bool given_alone = rule.family->scheme == OperandScheme::kWeightAndGiven;
  return given_alone && operand != operands::kWeight;
}

// The operands that formats of the rule's family round in such a node.
Names OperandsOfScheme(const Node& node, const RuleFormat& rule) {
  switch (rule.family->scheme) {
    case OperandScheme::kSigns:
      return rule.residual_input ? Names{operands::kDataIn, operands::kWeight}
                                 : Names{operands::kWeight};
    case OperandScheme::kInputAndOutput:
      return {operands::kDataIn, operands::kDataOut};
    case OperandScheme::kWeightAndOutput:
      return {operands::kWeight, operands::kDataOut};
    case OperandScheme::kWeightsOfLayers:
      if (RoundsWeightAlone(*rule.family, node.op())) return {operands::kWeight};
      if (node.kind() == NodeKind::kCallModule && !node.Is(OpTrait::kWeighted)) return {};
      break;
    case OperandScheme::kOfTheOp:
    case OperandScheme::kWeightAndGiven:
      break;
  }
  Names names;
  const auto add = [&](absl::string_view operand) {
    const bool leaves = IsOptional(rule, node.schema(), operand) && !IsGiven(rule, operand);
    if (!leaves) names.push_back(operand);
  };
  add(operands::kDataIn);
  if (node.Is(OpTrait::kProduct)) {
    if (!ForgetsSecondInput(rule, node.op())) names.push_back(operands::kWeight);
    return names;
  }
  for (const Operand& operand : OperandsOf(node, rule.reference())) {
    // Statistics that MASE rounds with weight or bias do not ask for that format themselves.
    const bool named = operand.source == Operand::Source::kTensor &&
                       node.parameters()[operand.index].name == operand.role;
    if (named) add(operand.role);
  }
  if (node.Is(OpTrait::kWeighted)) add(operands::kDataOut);
  return names;
}

// The operands that get a format, in the record's order.
Names QuantizedOperands(const Node& node, const RuleFormat& rule) {
  Names names = OperandsOfScheme(node, rule);
  names.erase(std::remove_if(names.begin(), names.end(),
                             [&](absl::string_view operand) {
                               return rule.left_float.count(std::string(operand)) > 0;
                             }),
              names.end());
  return names;
}

absl::StatusOr<FormatProto> Given(const RuleFormat& rule, absl::string_view operand) {
  const auto it = rule.given.find(std::string(operand));
  if (it != rule.given.end()) return it->second;
  // Nothing was given: says what is missing, or that the format needs nothing.
  FormatProto policies;
  policies.set_semantics(rule.semantics);
  return FormatFromParameters(rule.name, {}, operand, policies);
}

google::protobuf::Message* FamilyMessage(FormatProto* format) {
  return format->GetReflection()->MutableMessage(
      format, FormatProto::descriptor()->FindFieldByNumber(format->family_case()));
}

void CopyBlockSize(const FormatProto& from, FormatProto* to) {
  if (!FindFamily(*to)->has_blocks_of_axes || from.family_case() != to->family_case()) return;
  FormatProto source = from;
  google::protobuf::Message* message = FamilyMessage(to);
  const auto* field = message->GetDescriptor()->FindFieldByName("block_size");
  const auto& sizes =
      message->GetReflection()->GetRepeatedFieldRef<int32_t>(*FamilyMessage(&source), field);
  message->GetReflection()->GetMutableRepeatedFieldRef<int32_t>(message, field).CopyFrom(sizes);
}

// Sets `block_dim` of a format that leaves it open; formats without one stay.
void FillBlockDim(int block_dim, FormatProto* format) {
  if (!FindFamily(*format)->has_block_dim) return;
  google::protobuf::Message* message = FamilyMessage(format);
  const auto* field = message->GetDescriptor()->FindFieldByName("block_dim");
  const auto& reflection = *message->GetReflection();
  if (!reflection.HasField(*message, field)) reflection.SetInt32(message, field, block_dim);
}

// What the config gives an operand of this node, which is not always under the operand's own keys.
absl::StatusOr<FormatProto> FormatOf(const Node& node, const RuleFormat& rule,
                                     absl::string_view operand) {
  // The output of such formats goes by the input's keys; with none, by defaults.
  const bool output =
      operand == operands::kDataOut && rule.family->scheme == OperandScheme::kWeightAndOutput;
  const bool by_input = output || RoundsAllByInput(rule, node.op());
  FormatProto format;
  if (output && !IsGiven(rule, operands::kDataIn)) {
    format.set_semantics(rule.semantics);
  } else {
    MASE_ASSIGN_OR_RETURN(format, Given(rule, by_input ? operands::kDataIn : operand));
  }
  if (rule.family->for_operand != nullptr) rule.family->for_operand(operand, &format);
  const ReferenceOp* row = ReferenceRow(rule, node.op());
  if (row != nullptr && absl::c_linear_search(row->blocks_of_bias, rule.family->name) &&
      rule.left_float.count(std::string(operands::kBias)) == 0) {
    MASE_ASSIGN_OR_RETURN(const FormatProto bias, Given(rule, operands::kBias));
    CopyBlockSize(bias, &format);
  }
  return format;
}

// MASE's settings that the op decides, where the config does not.
void AdaptToOp(const Node& node, absl::string_view operand, const InferredShapes& shapes,
               FormatProto* format) {
  const bool reference = format->semantics() == FormatProto::REFERENCE;
  const ReferenceOp* row = reference ? FindReferenceOp(node.op()) : nullptr;
  // What comes before a relu is cut at zero anyway, so the sign bit is spent on range.
  // MASE does the same to activations that keep negative values.
  const bool cut = node.Is(OpTrait::kCutsNegatives) || (row != nullptr && row->is_unsigned);
  if (cut && format->has_integer() && !format->integer().has_is_signed()) {
    format->mutable_integer()->set_is_signed(false);
  }
  // Of the tensors of an operand that have a shape of their own, only a product's second input
  // may differ in rank.
  const int input = operand == operands::kWeight && node.Is(OpTrait::kProduct) ? 1 : 0;
  const Shape& shape = shapes.shape(node.inputs()[input]);
  FillSkipFirstDim(SkipsFirstDim(node, operand, shape, shapes), format);
  // The second input of a product is summed along its last axis but one, if it has that many. MASE
  // takes the last.
  if (input == 1 && !reference && shape.rank() > 1) FillBlockDim(-2, format);
}

// Whether the format takes every tensor of the operand: those of the module, whose extents are
// known, and others as far as ranks tell.
absl::Status CheckShapes(const Node& node, absl::string_view role, const Format& format,
                         const InferredShapes& shapes) {
  if (!format.is_reference()) return CheckOwnGrids(node, role, format.proto());
  const auto check_rank = [&](const Value* value) -> absl::Status {
    MASE_ASSIGN_OR_RETURN(const OperandView view,
                          ViewOperand(node, role, format.proto(), shapes.shape(value), shapes));
    return format.CheckRank(view.shape);
  };
  const auto check_tensor = [&](absl::string_view name) -> absl::Status {
    for (const ParameterSpec& spec : node.schema().parameter_rule(node.attributes())) {
      if (spec.name != name) continue;
      MASE_ASSIGN_OR_RETURN(const OperandView view,
                            ViewOperand(node, role, format.proto(), spec.shape, shapes));
      std::vector<float> zeros(view.shape.elements());
      MASE_RETURN_IF_ERROR(format.Quantize(zeros.data(), zeros.data(), view.shape));
    }
    return absl::OkStatus();
  };
  for (const Operand& operand : OperandsOf(node, /*reference=*/true)) {
    if (operand.role != role) continue;
    switch (operand.source) {
      case Operand::Source::kInput:
        MASE_RETURN_IF_ERROR(check_rank(node.inputs()[operand.index]));
        break;
      case Operand::Source::kTensor:
        MASE_RETURN_IF_ERROR(check_tensor(node.parameters()[operand.index].name));
        break;
      case Operand::Source::kResult:
        MASE_RETURN_IF_ERROR(check_rank(node.outputs()[operand.index]));
        break;
    }
  }
  return absl::OkStatus();
}

// Policies that the config gives for all operands.
void SetPolicies(const QuantizeConfig& config, FormatProto::Semantics semantics,
                 FormatProto* format) {
  if (semantics == FormatProto::REFERENCE) format->set_semantics(semantics);
  if (config.gradient() != FormatProto::STRAIGHT_THROUGH) {
    format->set_gradient(config.gradient());
  }
}

// config = "integer 8/4"
absl::StatusOr<RuleFormat> RuleOfText(const QuantizeConfig& config,
                                      FormatProto::Semantics semantics) {
  MASE_ASSIGN_OR_RETURN(FormatProto format, ParseFormat(config.format()));
  SetPolicies(config, semantics, &format);
  if (config.floor()) format.set_rounding(FormatProto::FLOOR);
  return UniformRule(format);
}

// name = "integer"
absl::StatusOr<RuleFormat> RuleOfName(const std::string& name, FormatProto::Semantics semantics) {
  const Family* family = FindFamily(name);
  if (family == nullptr) return UnknownFormatError(name);
  return RuleFormat{.name = name, .family = family, .semantics = semantics};
}

// The formats that the config's keys give operands.
absl::Status AddOperands(const QuantizeConfig& config, RuleFormat* rule) {
  const std::pair<absl::string_view, const FormatParameters*> groups[] = {
      {operands::kDataIn, &config.data_in()},
      {operands::kWeight, &config.weight()},
      {operands::kBias, &config.bias()},
      {operands::kDataOut, &config.data_out()}};
  FormatProto policies;
  SetPolicies(config, rule->semantics, &policies);
  for (const auto& [operand, parameters] : groups) {
    if (parameters->ByteSizeLong() == 0) continue;
    if (parameters->name() == kNone) {
      rule->left_float.insert(std::string(operand));
      rule->given.erase(std::string(operand));
      continue;
    }
    if (!config.format().empty() && !parameters->has_name()) {
      return absl::InvalidArgumentError(
          absl::StrCat("format '", config.format(), "' is for all operands, but ", operand,
                       " has keys; give them a ", operand, "_name, or a name in place of format"));
    }
    FormatParameters adapted = *parameters;
    adapted.clear_name();
    if (config.floor()) adapted.set_floor(true);
    const std::string& name = parameters->has_name() ? parameters->name() : config.name();
    MASE_ASSIGN_OR_RETURN(rule->given[std::string(operand)],
                          FormatFromParameters(name, adapted, operand, policies));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RuleFormat> UniformRule(const FormatProto& proto) {
  MASE_ASSIGN_OR_RETURN(const auto format, SharedFormat(proto));
  RuleFormat rule = {.name = std::string(format->family()),
                     .family = FindFamily(proto),
                     .semantics = proto.semantics()};
  for (absl::string_view operand : {operands::kDataIn, operands::kWeight, operands::kBias}) {
    rule.given[std::string(operand)] = proto;
  }
  if (rule.family->scheme == OperandScheme::kInputAndOutput) {
    rule.given[std::string(operands::kDataOut)] = proto;
  }
  return rule;
}

absl::StatusOr<RuleFormat> CheckConfig(const QuantizeConfig& config,
                                       FormatProto::Semantics semantics) {
  const bool unnamed = config.name().empty() || config.name() == kNone;
  if (unnamed && config.format().empty()) return RuleFormat();
  if (!unnamed && !config.format().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("name '", config.name(), "' and format '",
                                                   config.format(), "': give one of them"));
  }
  MASE_ASSIGN_OR_RETURN(RuleFormat rule, unnamed ? RuleOfText(config, semantics)
                                                 : RuleOfName(config.name(), semantics));
  rule.bypass = config.bypass();
  if (config.data_in().has_residual_sign()) rule.residual_input = config.data_in().residual_sign();
  if (!rule.bypass) MASE_RETURN_IF_ERROR(AddOperands(config, &rule));
  return rule;
}

absl::Status CheckOp(const RuleFormat& rule, absl::string_view op) {
  if (rule.leaves_alone()) return absl::OkStatus();
  const Family& family = *rule.family;
  if (!family.ops.empty() && !absl::c_linear_search(family.ops, op)) {
    return absl::InvalidArgumentError(absl::StrCat("there is no ", op, " in ", rule.name, ", only ",
                                                   absl::StrJoin(family.ops, ", ")));
  }
  if (rule.bypass) return absl::OkStatus();
  const OpSchema& schema = *FindOp(op);
  const auto check = [&](absl::string_view operand) {
    const bool left = rule.left_float.count(std::string(operand)) > 0;
    if (left || IsOptional(rule, schema, operand)) return absl::OkStatus();
    return Given(rule, operand).status();
  };
  if (!RoundsWeightAlone(family, op)) MASE_RETURN_IF_ERROR(check(operands::kDataIn));
  const bool by_input =
      family.scheme == OperandScheme::kInputAndOutput || RoundsAllByInput(rule, op);
  const bool has_weight = schema.Is(OpTrait::kWeighted) || schema.Is(OpTrait::kProduct);
  if (!has_weight || by_input || rule.left_float.count(std::string(operands::kWeight)) > 0) {
    return absl::OkStatus();
  }
  return Given(rule, operands::kWeight).status();
}

absl::StatusOr<Quantization> QuantizationFor(const Node& node, const RuleFormat& rule,
                                             const InferredShapes& shapes) {
  MASE_RETURN_IF_ERROR(CheckOp(rule, node.op()));
  Quantization record;
  record.set_format(rule.name);
  record.set_class_suffix(std::string(rule.family->class_suffix));
  if (rule.bypass) return record;
  if (rule.reference()) MASE_RETURN_IF_ERROR(CheckReference(node, rule.name, shapes));
  for (absl::string_view operand : QuantizedOperands(node, rule)) {
    MASE_ASSIGN_OR_RETURN(FormatProto proto, FormatOf(node, rule, operand));
    AdaptToOp(node, operand, shapes, &proto);
    const auto format = SharedFormat(proto);
    if (!format.ok()) return Annotate(format.status(), operand);
    MASE_RETURN_IF_ERROR(Annotate(CheckShapes(node, operand, **format, shapes), operand));
    OperandFormat* entry = record.add_operand();
    entry->set_operand(std::string(operand));
    *entry->mutable_format() = std::move(proto);
  }
  return record;
}

}  // namespace mase
