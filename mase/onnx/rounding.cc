#include "mase/onnx/rounding.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr absl::string_view kOrder[] = {operands::kDataIn, operands::kWeight, operands::kBias,
                                        operands::kDataOut};

// The same as fixed point, if that is what it is.
std::optional<FormatProto> AsInteger(const FormatProto& format) {
  if (!format.has_affine()) return std::nullopt;
  const AffineFormat& affine = format.affine();
  int exponent = 0;
  if (affine.scale_size() != 1 || std::frexp(affine.scale(0), &exponent) != 0.5f) {
    return std::nullopt;
  }
  if (!affine.zero_point().empty() && affine.zero_point(0) != 0) return std::nullopt;
  FormatProto integer;
  integer.mutable_integer()->set_width(affine.width());
  integer.mutable_integer()->set_frac_width(1 - exponent);
  if (affine.has_is_signed() && !affine.is_signed())
    integer.mutable_integer()->set_is_signed(false);
  return integer;
}

}  // namespace

absl::Status RoundOperand(Graph& graph, Node* node, absl::string_view operand,
                          const FormatProto& format) {
  if (!node->schema().quantizable) {
    return CannotRead("rounds (by DequantizeLinear) what ", node->op(),
                      " reads, which takes no number format");
  }
  Quantization record = node->quantization() == nullptr ? Quantization() : *node->quantization();
  for (const OperandFormat& known : record.operand()) {
    if (known.operand() != operand) continue;
    if (known.format().SerializeAsString() == format.SerializeAsString()) return absl::OkStatus();
    return CannotRead("has inputs of different scales");
  }
  Quantization sorted;
  for (const absl::string_view next : kOrder) {
    for (const OperandFormat& known : record.operand()) {
      if (known.operand() == next) *sorted.add_operand() = known;
    }
    if (next != operand) continue;
    OperandFormat* added = sorted.add_operand();
    added->set_operand(std::string(operand));
    *added->mutable_format() = format;
  }
  graph.SetQuantization(node, std::move(sorted));
  return absl::OkStatus();
}

absl::Status RoundResult(Importer& importer, const OnnxValue& value) {
  Node* node = value.value->producer();
  if (value.value->uses().size() > 0) {
    return CannotRead("reads '", node->name(), "' rounded, which others read as it is");
  }
  importer.RoundsResult(value.value);
  return RoundOperand(importer.graph(), node, operands::kDataOut, *value.rounded);
}

absl::Status RoundInputs(Importer& importer, const ::onnx::NodeProto& proto, bool keeps_rounding,
                         int first_new) {
  Graph& graph = importer.graph();
  for (const std::string& name : proto.input()) {
    const OnnxValue* input = name.empty() ? nullptr : importer.FindValue(name);
    if (input == nullptr || !input->rounded.has_value() || input->value == nullptr) continue;
    const FormatProto format = *input->rounded;
    const std::vector<Use> uses(input->value->uses().begin(), input->value->uses().end());
    importer.CountMarkedUses(
        input->value, std::count_if(uses.begin(), uses.end(),
                                    [&](const Use& use) { return use.node->id() >= first_new; }));
    if (keeps_rounding) {
      OnnxValue* result = importer.FindValue(proto.output(0));
      if (result != nullptr && !result->known()) result->rounded = format;
      continue;
    }
    absl::Status status;
    for (const Use& use : uses) {
      if (use.node->id() < first_new) continue;
      if (use.node->Is(OpTrait::kFromShapes)) continue;
      status = RoundOperand(graph, use.node, use.node->schema().InputOperand(use.input), format);
    }
    if (status.ok()) continue;
    // Where the reader cannot, the maker may, if all others read what it makes rounded, too.
    Node* maker = input->value->producer();
    if (!RoundOperand(graph, maker, operands::kDataOut, format).ok()) return status;
    importer.RoundsResult(input->value);
  }
  return absl::OkStatus();
}

void NameFormats(Graph& graph) {
  for (Node* node : graph.NodesInOrder()) {
    if (node->quantization() == nullptr) continue;
    Quantization record = *node->quantization();
    Quantization integers = record;
    bool all = true;
    FormatProto::FamilyCase other = FormatProto::kAffine;
    for (OperandFormat& operand : *integers.mutable_operand()) {
      const std::optional<FormatProto> integer = AsInteger(operand.format());
      all &= integer.has_value();
      if (!operand.format().has_affine()) other = operand.format().family_case();
      if (integer.has_value()) *operand.mutable_format() = *integer;
    }
    if (all) record = integers;
    const Family* family = FindFamily(all ? FormatProto::kInteger : other);
    record.set_format(std::string(family->name));
    record.set_class_suffix(std::string(family->class_suffix));
    graph.SetQuantization(node, std::move(record));
  }
}

}  // namespace mase
