#include "mase/quantize/operands.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/own_grids.h"
#include "mase/format/shared_format.h"
#include "mase/quantize/reference.h"

namespace mase {
namespace {

const Family& FamilyOf(const FormatProto& format) { return *FindFamily(format); }

// The message of the format's family, and its field skip_first_dim.
struct SkipField {
  google::protobuf::Message* message;
  const google::protobuf::FieldDescriptor* field;

  explicit SkipField(FormatProto* format)
      : message(format->GetReflection()->MutableMessage(
            format, FormatProto::descriptor()->FindFieldByNumber(format->family_case()))),
        field(message->GetDescriptor()->FindFieldByName("skip_first_dim")) {}

  bool is_set() const { return message->GetReflection()->HasField(*message, field); }
  bool value() const { return message->GetReflection()->GetBool(*message, field); }
  void Set(bool skips) const { message->GetReflection()->SetBool(message, field, skips); }
};

// [b] to [1, 1, b].
Shape WithRank(const Shape& shape, int rank) {
  Shape padded;
  for (int i = shape.rank(); i < rank; ++i) padded.push_back(1);
  for (int i = 0; i < shape.rank(); ++i) padded.push_back(shape[i]);
  return padded;
}

// [a, b, c, d] to [a b, c, d].
Shape FoldToThree(const Shape& shape) {
  if (shape.rank() <= 3) return shape;
  int64_t leading = 1;
  for (int i = 0; i < shape.rank() - 2; ++i) leading *= shape[i];
  return {leading, shape[-2], shape[-1]};
}

bool Folds(const Node& node, bool skips) {
  if (node.kind() != NodeKind::kCallModule) return skips;
  const ReferenceOp* row = FindReferenceOp(node.op());
  return row != nullptr && row->folds_modules;
}

}  // namespace

std::vector<Operand> OperandsOf(const Node& node) { return OperandsOf(node, IsReference(node)); }

std::vector<Operand> OperandsOf(const Node& node, bool reference) {
  const ReferenceOp* row = reference ? FindReferenceOp(node.op()) : nullptr;
  const bool differs = row != nullptr && row->tensor_roles.has_value();
  return differs ? OperandsByTable(node, *row->tensor_roles) : OperandsByTable(node);
}

const Parameter* FindParameter(const Node& node, absl::string_view operand) {
  for (const Operand& found : OperandsOf(node)) {
    if (found.source != Operand::Source::kTensor || found.role != operand) continue;
    return &node.parameters()[found.index];
  }
  return nullptr;
}

absl::Status CheckOwnGrids(const Node& node, absl::string_view operand, const FormatProto& format) {
  if (!HasOwnGrids(format) || FindParameter(node, operand) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(operand, ": learned_width \"", format.integer().learned_width(),
                   "\" is for weights and biases; what flows through the net has one width a "
                   "tensor, \"tensor\""));
}

std::string EntryName(const Node& node, const Operand& operand) {
  switch (operand.source) {
    case Operand::Source::kInput:
      return absl::StrCat("data_in_", operand.index);
    case Operand::Source::kTensor:
      return node.parameters()[operand.index].name;
    case Operand::Source::kResult:
      return absl::StrCat("data_out_", operand.index);
  }
  return "";
}

std::string DescribeRecord(const Quantization& record) {
  if (record.operand().empty()) return absl::StrCat(record.format(), ", computes in float");
  std::vector<std::string> operands;
  for (const OperandFormat& operand : record.operand()) {
    operands.push_back(
        absl::StrCat(operand.operand(), " ", absl::StrJoin(PrecisionOf(operand.format()), "/")));
  }
  return absl::StrCat(record.format(), " ", absl::StrJoin(operands, ", "));
}

bool SkipsFirstDim(const Node& node, absl::string_view operand, const Shape& shape,
                   const InferredShapes& shapes) {
  if (operand == operands::kBias) return false;
  if (node.op() == ops::kLinear) return operand == operands::kDataIn;
  if (node.Is(OpTrait::kArithmetic)) return shapes.shape(node.inputs()[0]).rank() > 2;
  return node.kind() == NodeKind::kCallModule || shape.rank() > 2;
}

void FillSkipFirstDim(bool skips, FormatProto* format) {
  if (!FamilyOf(*format).has_blocks_of_axes) return;
  const SkipField skip(format);
  if (!skip.is_set()) skip.Set(skips);
}

absl::StatusOr<OperandView> ViewOperand(const Node& node, absl::string_view operand,
                                        const FormatProto& format, const Shape& shape,
                                        const InferredShapes& shapes) {
  OperandView view = {nullptr, shape};
  const Family* family = FindFamily(format);
  if (family == nullptr || !family->has_blocks_of_axes) {
    MASE_ASSIGN_OR_RETURN(view.format, SharedFormat(format));
    return view;
  }
  FormatProto seen = format;
  FillSkipFirstDim(SkipsFirstDim(node, operand, shape, shapes), &seen);
  if (node.Is(OpTrait::kArithmetic) && operand == operands::kDataIn) {
    view.shape = WithRank(shape, shapes.shape(node.outputs()[0]).rank());
  }
  if (format.semantics() == FormatProto::REFERENCE && Folds(node, SkipField(&seen).value())) {
    view.shape = FoldToThree(view.shape);
  }
  MASE_ASSIGN_OR_RETURN(view.format, SharedFormat(seen));
  return view;
}

}  // namespace mase
