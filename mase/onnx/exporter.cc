#include "mase/onnx/exporter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/quantize/operands.h"

namespace mase {

using ::onnx::TensorProto;

absl::StatusOr<ExportedNet> Exporter::Run() {
  // A graph of ONNX must have a name.
  writer_.model().mutable_graph()->set_name(graph_.name().empty() ? "net" : graph_.name());
  for (const Node* node = graph_.first(); node != nullptr; node = Graph::next(node)) {
    if (absl::Status status = AddNode(*node); !status.ok()) {
      return Annotate(status, absl::StrCat(node->name(), " (", node->op(), ")"));
    }
  }
  ExportedNet net;
  net.bytes = writer_.model().SerializeAsString();
  net.rounded = rounded_;
  if (lost_ > 0) {
    net.notes.push_back(absl::StrCat("Number formats of ", lost_, " nodes are left out: the file ",
                                     "computes the float net; its metadata names them"));
  }
  if (!as_qdq_.empty()) {
    constexpr size_t kShown = 6;
    const size_t shown = std::min(as_qdq_.size(), kShown);
    net.notes.push_back(absl::StrCat(
        "Layers without an integer op, which compute on dequantized numbers: ",
        absl::StrJoin(as_qdq_.begin(), as_qdq_.begin() + shown, "; "),
        shown < as_qdq_.size() ? absl::StrCat("; and ", as_qdq_.size() - shown, " more") : ""));
  }
  return net;
}

absl::StatusOr<std::string> Exporter::Tensor(const Node& node, absl::string_view local) {
  const std::string* name = node.FindParameter(local);
  if (name == nullptr) return std::string();
  const GraphTensor& tensor = *graph_.FindTensor(*name);
  if (tensor.value.dtype() != DType::kFloat32) return CannotWrite("tensor '", *name, "'");
  const absl::string_view operand = node.schema().TensorOperand(local);
  const FormatProto* format = FormatOf(node, operand);
  if (format != nullptr) return RoundedTensor(node, tensor, operand, *format);
  if (written_.insert(*name).second) {
    writer_.Floats(*name, tensor.value.shape(), tensor.value.data<float>());
  }
  return *name;
}

absl::Status Exporter::AddNode(const Node& node) {
  ::onnx::GraphProto& graph = *writer_.model().mutable_graph();
  if (node.kind() == NodeKind::kPlaceholder) {
    const ValueInfo& info = shapes_.info(node.outputs()[0]);
    writer_.Describe(node.name(), info.shape,
                     info.dtype == DType::kInt64 ? TensorProto::INT64 : TensorProto::FLOAT,
                     graph.add_input());
    results_[node.id()].floats = node.name();
    return absl::OkStatus();
  }
  if (node.kind() == NodeKind::kOutput) {
    for (const Value* value : node.inputs()) {
      writer_.Describe(FloatsOf(*value->producer()), shapes_.shape(value), TensorProto::FLOAT,
                       graph.add_output());
    }
    return absl::OkStatus();
  }
  if (node.Is(OpTrait::kFromShapes)) return absl::OkStatus();
  if (node.Is(OpTrait::kStored)) {
    MASE_ASSIGN_OR_RETURN(results_[node.id()].floats, Tensor(node, "value"));
    return absl::OkStatus();
  }
  if (const Quantization* record = node.quantization(); record != nullptr) {
    writer_.AddMetadata(absl::StrCat("mase.format.", node.name()), DescribeRecord(*record));
    const bool rounds = target_.form != OnnxForm::kFloat;
    lost_ += !rounds;
    for (const OperandFormat& operand : record->operand()) {
      if (rounds && operand.format().semantics() == FormatProto::REFERENCE) {
        return CannotWrite("has REFERENCE semantics, MASE's own float arithmetic; quantize it ",
                           "with EXACT semantics");
      }
    }
  }
  if (plans_ != nullptr) {
    MASE_ASSIGN_OR_RETURN(const bool done, AddOnCodes(node));
    if (done) return absl::OkStatus();
  }
  return AddByRule(node);
}

absl::Status Exporter::AddByRule(const Node& node) {
  const bool planned = plans_ != nullptr && plans_->of(node).ok();
  std::vector<std::string> in;
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    const Node& producer = *node.inputs()[i]->producer();
    if (producer.Is(OpTrait::kFromShapes)) continue;
    const int input = static_cast<int>(i);
    const std::string base = absl::StrCat(node.name(), ".in", i);
    const absl::string_view operand = node.schema().InputOperand(input);
    if (planned && FormatOf(node, operand) != nullptr &&
        EncodingOf(plans_->of(node)->inputs[i]).ok()) {
      MASE_ASSIGN_OR_RETURN(const Names codes, CodesOf(producer, plans_->of(node)->inputs[i]));
      AddDequantizeLinear(codes, base);
      in.push_back(base);
      continue;
    }
    MASE_ASSIGN_OR_RETURN(std::string name, Rounded(node, operand, FloatsOf(producer), base,
                                                    InputShape(node, input)));
    in.push_back(std::move(name));
  }
  const bool rounds = FormatOf(node, operands::kDataOut) != nullptr;
  const std::string out = rounds ? absl::StrCat(node.name(), ".raw") : node.name();
  MASE_RETURN_IF_ERROR(WriteByRule(*this, node, in, out));
  std::string& floats = results_[node.id()].floats;
  floats = out;
  if (rounds) {
    MASE_ASSIGN_OR_RETURN(floats,
                          Rounded(node, operands::kDataOut, out, node.name(), ShapeOf(node)));
  }
  return absl::OkStatus();
}

std::string Exporter::FloatsOf(const Node& producer) {
  Result& result = results_[producer.id()];
  if (result.floats.empty() && !result.codes.empty()) {
    result.floats = producer.name();
    AddDequantizeLinear(result.codes[0].second, result.floats);
  }
  return result.floats;
}

}  // namespace mase
