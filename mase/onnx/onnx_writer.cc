#include "mase/onnx/onnx_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mase {

using ::onnx::AttributeProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

OnnxWriter::OnnxWriter(int64_t opset) : opset_(opset) {
  // The versions of the file format that came with these opsets.
  model_.set_ir_version(opset >= 21 ? 10 : 8);
  model_.set_producer_name("mase");
  model_.add_opset_import()->set_version(opset);
}

NodeProto& OnnxWriter::Add(const std::string& op, const std::vector<std::string>& in,
                           const std::string& out, const std::string& domain) {
  NodeProto& node = *model_.mutable_graph()->add_node();
  node.set_op_type(op);
  node.set_name(out);
  for (const std::string& name : in) node.add_input(name);
  node.add_output(out);
  if (domain.empty()) return node;
  node.set_domain(domain);
  const auto& imports = model_.opset_import();
  const bool known = std::any_of(imports.begin(), imports.end(),
                                 [&](const auto& import) { return import.domain() == domain; });
  if (!known) {
    auto* import = model_.add_opset_import();
    import->set_domain(domain);
    import->set_version(1);
  }
  return node;
}

std::string OnnxWriter::Fresh(const std::string& base) { return absl::StrCat(base, ".", ++fresh_); }

std::string OnnxWriter::Constant(const std::string& name, const Shape& shape, int type,
                                 std::string bytes) {
  TensorProto& tensor = *model_.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int64_t extent : shape.dims()) tensor.add_dims(extent);
  tensor.set_raw_data(std::move(bytes));
  return name;
}

std::string OnnxWriter::Floats(const std::string& name, const Shape& shape,
                               absl::Span<const float> values) {
  return Constant(
      name, shape, TensorProto::FLOAT,
      std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

std::string OnnxWriter::Number(const std::string& base, double number) {
  const float value = static_cast<float>(number);
  return Floats(Fresh(base), Shape(), absl::MakeConstSpan(&value, 1));
}

std::string OnnxWriter::Numbers(const std::string& base, const std::vector<int64_t>& numbers) {
  return Constant(
      Fresh(base), {static_cast<int64_t>(numbers.size())}, TensorProto::INT64,
      std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(int64_t)));
}

void OnnxWriter::Describe(const std::string& name, const Shape& shape, int type,
                          ::onnx::ValueInfoProto* info) const {
  info->set_name(name);
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (int axis = 0; axis < shape.rank(); ++axis) {
    auto* dim = tensor->mutable_shape()->add_dim();
    if (axis == 0) dim->set_dim_param("rows");
    if (axis > 0) dim->set_dim_value(shape[axis]);
  }
}

void OnnxWriter::AddMetadata(const std::string& key, const std::string& value) {
  auto* entry = model_.add_metadata_props();
  entry->set_key(key);
  entry->set_value(value);
}

namespace {
AttributeProto& AddAttribute(NodeProto& node, const std::string& name,
                             AttributeProto::AttributeType type) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}
}  // namespace

void OnnxWriter::SetInt(NodeProto& node, const std::string& name, int64_t value) {
  AddAttribute(node, name, AttributeProto::INT).set_i(value);
}
void OnnxWriter::SetFloat(NodeProto& node, const std::string& name, double value) {
  AddAttribute(node, name, AttributeProto::FLOAT).set_f(static_cast<float>(value));
}
void OnnxWriter::SetInts(NodeProto& node, const std::string& name,
                         const std::vector<int64_t>& values) {
  AttributeProto& attribute = AddAttribute(node, name, AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}
void OnnxWriter::SetText(NodeProto& node, const std::string& name, const std::string& text) {
  AddAttribute(node, name, AttributeProto::STRING).set_s(text);
}

}  // namespace mase
