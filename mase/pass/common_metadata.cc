#include "mase/pass/common_metadata.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

using google::protobuf::RepeatedPtrField;

// MASE's type and precision of values that are not quantised: {"float", {"32"}}.
void SetPlain(absl::string_view dtype, TensorMetadata* tensor) {
  tensor->clear_precision();
  if (dtype == "bool") {
    tensor->set_type("bool");
  } else if (absl::StrContains(dtype, "float")) {
    tensor->set_type("float");
    tensor->add_precision(std::string(dtype.substr(dtype.find("float") + 5)));
  } else {
    tensor->set_type("int");
    tensor->add_precision(std::string(dtype.substr(dtype.find("int") + 3)));
  }
}

TensorMetadata Describe(absl::string_view name, DType dtype, const Shape& shape) {
  TensorMetadata tensor;
  tensor.set_name(std::string(name));
  for (int64_t extent : shape.dims()) tensor.add_shape(extent);
  tensor.set_torch_dtype(std::string(DTypeName(dtype)));
  SetPlain(tensor.torch_dtype(), &tensor);
  return tensor;
}

// The operand that an entry belongs to.
absl::string_view OperandOf(const Node& node, absl::string_view entry) {
  if (absl::StartsWith(entry, "data_out_")) return "data_out";
  if (!absl::StartsWith(entry, "data_in_")) return entry;
  return InputOperand(node, entry == "data_in_1" ? 1 : 0);
}

absl::Status SetPrecision(const Node& node, TensorMetadata* entry) {
  SetPlain(entry->torch_dtype(), entry);
  const FormatProto* proto = FindFormat(node, OperandOf(node, entry->name()));
  if (proto == nullptr) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const auto format, Format::Create(*proto));
  entry->set_type(node.quantization()->format());
  entry->clear_precision();
  for (std::string& field : format->Precision()) entry->add_precision(std::move(field));
  return absl::OkStatus();
}

absl::Status SetPrecisions(const Node& node, CommonMetadata* common) {
  const bool binary =
      node.quantization() != nullptr && (node.quantization()->format() == "binary" ||
                                         node.quantization()->format() == "binary_residual");
  for (TensorMetadata& entry : *common->mutable_args()) {
    MASE_RETURN_IF_ERROR(SetPrecision(node, &entry));
  }
  for (TensorMetadata& entry : *common->mutable_results()) {
    MASE_RETURN_IF_ERROR(SetPrecision(node, &entry));
    // MASE marks the results of binary ops alone; they are float sums all the same.
    if (!binary) continue;
    entry.set_type("binary");
    entry.clear_precision();
    for (const char* field : {"32", "0", "1"}) entry.add_precision(field);
  }
  return absl::OkStatus();
}

const TensorMetadata* Find(const RepeatedPtrField<TensorMetadata>& entries,
                           absl::string_view name) {
  for (const TensorMetadata& entry : entries) {
    if (entry.name() == name) return &entry;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<CommonMetadata> DescribeNode(const Graph& graph, const Node& node,
                                            const InferredShapes& shapes) {
  CommonMetadata common;
  common.set_mase_type(std::string(node.mase_type()));
  common.set_mase_op(std::string(node.mase_op()));
  const bool is_output = node.kind() == NodeKind::kOutput;
  const auto describe = [&](absl::string_view prefix, int i, const Value* value) {
    return Describe(absl::StrCat(prefix, i), shapes.info(value).dtype, shapes.shape(value));
  };
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    const Value* input = node.inputs()[i];
    (is_output ? *common.add_results() : *common.add_args()) =
        describe(is_output ? "data_out_" : "data_in_", static_cast<int>(i), input);
  }
  for (const Parameter& parameter : node.parameters()) {
    if (node.kind() == NodeKind::kGetAttr) break;
    const GraphTensor* tensor = graph.FindTensor(parameter.tensor);
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(node.name(), ": tensor '", parameter.tensor, "' is not in the graph"));
    }
    if (tensor->buffer) continue;
    *common.add_args() = Describe(parameter.name, tensor->value.dtype(), tensor->value.shape());
  }
  for (const Value* output : node.outputs()) {
    *common.add_results() = describe("data_out_", output->index(), output);
  }
  MASE_RETURN_IF_ERROR(SetPrecisions(node, &common));
  return common;
}

absl::Status UpdatePrecision(Node& node) {
  if (!node.metadata().has_common()) return absl::OkStatus();
  return SetPrecisions(node, node.mutable_metadata().mutable_common());
}

const TensorMetadata* FindArgument(const CommonMetadata& common, absl::string_view name) {
  return Find(common.args(), name);
}

const TensorMetadata* FindResult(const CommonMetadata& common, absl::string_view name) {
  return Find(common.results(), name);
}

}  // namespace mase
