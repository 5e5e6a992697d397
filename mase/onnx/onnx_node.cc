#include <algorithm>

#include "absl/strings/escaping.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/op_schema.h"
#include "mase/onnx/importer.h"

namespace mase {

using ::onnx::AttributeProto;

std::string LabelOf(const ::onnx::NodeProto& node) {
  // Names are often empty; results have one always.
  const std::string& name =
      node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
  return absl::StrCat("node '", absl::CHexEscape(name.substr(0, 80)), "' (",
                      absl::CHexEscape(node.op_type().substr(0, 80)), ")");
}

absl::StatusOr<int> AxisOf(int64_t axis, int rank) {
  const int64_t normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= rank) return BadNode("axis ", axis, " is outside rank ", rank);
  return static_cast<int>(normal);
}

int64_t OnnxNode::opset() const { return importer_.file_.opset(); }

const AttributeProto* OnnxNode::Find(absl::string_view name) const {
  for (const AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

bool OnnxNode::Has(absl::string_view attribute) const { return Find(attribute) != nullptr; }

namespace {
absl::Status WrongType(absl::string_view name, absl::string_view wanted) {
  return BadNode("attribute '", name, "' is no ", wanted);
}
}  // namespace

absl::StatusOr<int64_t> OnnxNode::Int(absl::string_view attribute, int64_t fallback) const {
  const AttributeProto* found = Find(attribute);
  if (found == nullptr) return fallback;
  if (found->type() != AttributeProto::INT) return WrongType(attribute, "whole number");
  return found->i();
}

absl::StatusOr<double> OnnxNode::Float(absl::string_view attribute, double fallback) const {
  const AttributeProto* found = Find(attribute);
  if (found == nullptr) return fallback;
  if (found->type() != AttributeProto::FLOAT) return WrongType(attribute, "number");
  return found->f();
}

absl::StatusOr<std::string> OnnxNode::String(absl::string_view attribute,
                                             absl::string_view fallback) const {
  const AttributeProto* found = Find(attribute);
  if (found == nullptr) return std::string(fallback);
  if (found->type() != AttributeProto::STRING) return WrongType(attribute, "text");
  return absl::CHexEscape(found->s().substr(0, 80));
}

absl::StatusOr<std::vector<int64_t>> OnnxNode::Ints(absl::string_view attribute,
                                                    std::vector<int64_t> fallback) const {
  const AttributeProto* found = Find(attribute);
  if (found == nullptr) return fallback;
  if (found->type() != AttributeProto::INTS) return WrongType(attribute, "list of whole numbers");
  return std::vector<int64_t>(found->ints().begin(), found->ints().end());
}

const OnnxValue* OnnxNode::Input(int i) const {
  if (!HasInput(i)) return nullptr;
  const auto found = importer_.values_.find(proto_.input(i));
  return found == importer_.values_.end() ? nullptr : &found->second;
}

const Tensor* OnnxNode::KnownFloats(int i) const {
  const OnnxValue* input = Input(i);
  return input != nullptr && input->floats.has_value() ? &*input->floats : nullptr;
}

absl::StatusOr<Tensor> OnnxNode::Floats(int i) const {
  const Tensor* floats = KnownFloats(i);
  if (floats != nullptr) return *floats;
  if (!HasInput(i)) return BadNode("input ", i, " is missing");
  return CannotRead("input ", i, " ('", absl::CHexEscape(InputName(i)),
                    "') must be a constant of floats");
}

absl::StatusOr<KnownInts> OnnxNode::WholeNumbers(int i) const {
  const OnnxValue* input = Input(i);
  if (input == nullptr) return BadNode("input ", i, " is missing");
  if (input->ints.has_value()) return *input->ints;
  return CannotRead("input ", i, " ('", absl::CHexEscape(InputName(i)),
                    "') must be whole numbers that follow from constants and shapes");
}

absl::StatusOr<Value*> OnnxNode::ValueOf(int i) {
  if (!HasInput(i)) return BadNode("input ", i, " is missing");
  const OnnxValue* input = Input(i);
  if (input->codes.has_value() && !importer_.passing_codes_.has_value()) {
    return CannotRead("computes with the codes of a QuantizeLinear");
  }
  return importer_.Materialize(InputName(i));
}

absl::StatusOr<Value*> OnnxNode::Add(absl::string_view op, std::vector<Value*> inputs,
                                     Attributes attributes, std::vector<OwnTensor> tensors) {
  MASE_ASSIGN_OR_RETURN(const OpSchema* schema, LookUpOp(op));
  const bool is_module = !schema->module_class.empty();
  // A layer is called as its weights are: "fc1" of "fc1.weight".
  std::string path = importer_.base_;
  for (const OwnTensor& tensor : tensors) {
    const std::string end = absl::StrCat(".", tensor.local);
    if (tensor.local == operands::kWeight && tensor.initializer.size() > end.size() &&
        tensor.initializer.substr(tensor.initializer.size() - end.size()) == end) {
      path = tensor.initializer.substr(0, tensor.initializer.size() - end.size());
    }
  }
  std::string name = path;
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  NodeSpec spec = {.name = name,
                   .kind = is_module                       ? NodeKind::kCallModule
                           : schema->function_type.empty() ? NodeKind::kGetAttr
                                                           : NodeKind::kCallFunction,
                   .op = std::string(op),
                   .target = is_module ? path : std::string(op),
                   .inputs = std::move(inputs),
                   .attributes = std::move(attributes)};
  for (OwnTensor& tensor : tensors) {
    bool buffer = false;
    for (const char* statistic : {"running_mean", "running_var", "num_batches_tracked", "value"}) {
      buffer |= tensor.local == statistic;
    }
    const std::string tensor_name =
        importer_.TensorName(absl::StrCat(path, ".", tensor.local), tensor.value);
    importer_.graph_->SetTensor(tensor_name, std::move(tensor.value), buffer);
    spec.parameters.push_back({tensor.local, tensor_name});
  }
  return importer_.AddNode(std::move(spec));
}

absl::StatusOr<Value*> OnnxNode::Constant(absl::string_view name, Tensor value) {
  const std::string base = std::exchange(importer_.base_, std::string(name));
  const std::vector<int64_t> shape(value.shape().dims().begin(), value.shape().dims().end());
  std::vector<OwnTensor> own;
  own.push_back({"value", std::move(value)});
  absl::StatusOr<Value*> added = Add(ops::kGetAttr, {}, {{"shape", shape}}, std::move(own));
  importer_.base_ = base;
  return added;
}

absl::StatusOr<Value*> OnnxNode::Number(double number) {
  Tensor scalar = Tensor::Zeros(DType::kFloat32, Shape());
  scalar.mutable_data<float>()[0] = static_cast<float>(number);
  return Constant(absl::StrCat(importer_.base_, "_constant"), std::move(scalar));
}

absl::StatusOr<Value*> OnnxNode::View(Value* x, const std::vector<Extent>& extents) {
  std::vector<int64_t> shape;
  int growing = 0;
  for (const Extent& extent : extents) {
    growing += !extent.fixed();
    shape.push_back(extent.fixed() ? extent.constant : -1);
  }
  if (growing > 1) return CannotRead("two axes of its result depend on the number of rows");
  return Add(ops::kView, {x}, {{"shape", shape}});
}

void OnnxNode::SetResult(int i, OnnxValue value) {
  if (i < proto_.output_size()) importer_.values_[proto_.output(i)] = std::move(value);
}

void OnnxNode::SetResult(Value* value) { SetResult(0, {.value = value}); }

absl::Status OnnxNode::Become(absl::string_view op, Attributes attributes) {
  std::vector<Value*> values;
  for (int i = 0; i < inputs(); ++i) {
    MASE_ASSIGN_OR_RETURN(Value * value, ValueOf(i));
    values.push_back(value);
  }
  MASE_ASSIGN_OR_RETURN(Value * result, Add(op, std::move(values), std::move(attributes)));
  SetResult(result);
  return absl::OkStatus();
}

}  // namespace mase
