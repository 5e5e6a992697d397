#include "mase/pass/common_metadata.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

using google::protobuf::RepeatedPtrField;

// Beginnings of entries' names.
constexpr absl::string_view kInputs = "data_in_", kResults = "data_out_";

// MASE's type and precision of values that are not quantized: {"float", {"32"}}.
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

void SetPrecisions(const Node& node, CommonMetadata* common) {
  absl::flat_hash_map<std::string, const FormatProto*> formats;
  for (const Operand& operand : OperandsOf(node)) {
    if (operand.format != nullptr) formats[EntryName(node, operand)] = operand.format;
  }
  const auto set = [&](TensorMetadata& entry) {
    SetPlain(entry.torch_dtype(), &entry);
    const auto format = formats.find(entry.name());
    if (format == formats.end()) return;
    entry.set_type(node.quantization()->format());
    entry.clear_precision();
    for (std::string& field : PrecisionOf(*format->second)) entry.add_precision(std::move(field));
  };
  for (TensorMetadata& entry : *common->mutable_args()) set(entry);
  const Family* family =
      node.quantization() == nullptr ? nullptr : FindFamily(node.quantization()->format());
  for (TensorMetadata& entry : *common->mutable_results()) {
    set(entry);
    // MASE marks the results of binary ops alone; they are float sums all the same.
    if (family == nullptr || !family->marks_results) continue;
    entry.set_type(std::string(FindFamily(FormatProto::kBinary)->name));
    entry.clear_precision();
    for (const char* field : {"32", "0", "1"}) entry.add_precision(field);
  }
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
        describe(is_output ? kResults : kInputs, static_cast<int>(i), input);
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
    *common.add_results() = describe(kResults, output->index(), output);
  }
  SetPrecisions(node, &common);
  return common;
}

absl::Status UpdatePrecision(Node& node) {
  if (!node.metadata().has_common()) return absl::OkStatus();
  SetPrecisions(node, node.mutable_metadata().mutable_common());
  return absl::OkStatus();
}

const TensorMetadata* FindArgument(const CommonMetadata& common, absl::string_view name) {
  return Find(common.args(), name);
}

const TensorMetadata* FindResult(const CommonMetadata& common, absl::string_view name) {
  return Find(common.results(), name);
}

}  // namespace mase
