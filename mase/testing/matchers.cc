#include "mase/testing/matchers.h"

#include <set>
#include <string>

#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/graph/graph_io.h"
#include "mase/graph/op_schema.h"

namespace mase {
namespace {

// Text with defaults that no test wants to spell: version, and tensors.
GraphProto ParseProto(absl::string_view text) {
  GraphProto proto;
  CHECK(google::protobuf::TextFormat::ParseFromString(std::string(text), &proto)) << text;
  if (proto.format_version() == 0) proto.set_format_version(1);
  std::set<std::string> present;
  for (const TensorProto& tensor : proto.tensor()) present.insert(tensor.name());
  for (NodeProto& node : *proto.mutable_node()) {
    const OpSchema* schema = FindOp(node.op());
    if (schema == nullptr || schema->parameter_rule == nullptr || node.parameter_size() > 0)
      continue;
    if (node.kind() != NodeProto::CALL_MODULE) continue;
    Attributes attributes;
    for (const AttributeSpec& spec : schema->attributes) attributes.Set(spec.name, spec.fallback);
    for (const AttributeProto& attribute : node.attribute()) {
      if (attribute.has_i()) attributes.Set(attribute.name(), int64_t{attribute.i()});
      if (attribute.has_b()) attributes.Set(attribute.name(), attribute.b());
      if (attribute.has_ints()) {
        attributes.Set(attribute.name(), std::vector<int64_t>(attribute.ints().value().begin(),
                                                              attribute.ints().value().end()));
      }
    }
    for (const ParameterSpec& spec : schema->parameter_rule(attributes)) {
      ParameterProto* parameter = node.add_parameter();
      parameter->set_name(spec.name);
      parameter->set_tensor(node.target() + "." + spec.name);
      if (!present.insert(parameter->tensor()).second) continue;
      TensorProto* tensor = proto.add_tensor();
      tensor->set_name(parameter->tensor());
      tensor->set_dtype(std::string(DTypeName(spec.dtype)));
      for (int64_t extent : spec.shape.dims()) tensor->add_dims(extent);
      tensor->set_buffer(spec.buffer);
    }
  }
  return proto;
}

class EqualsGraphMatcher : public ::testing::MatcherInterface<const Graph&> {
 public:
  explicit EqualsGraphMatcher(absl::string_view text) : text_(text) {}

  bool MatchAndExplain(const Graph& graph,
                       ::testing::MatchResultListener* listener) const override {
    const Graph expected = ParseGraph(text_);
    Graph actual = graph.Clone();
    // Compare notes and elements only where the text has some.
    for (Node* node : actual.NodesInOrder()) {
      const Node* other = expected.FindNode(node->name());
      if (other != nullptr && other->metadata().ByteSizeLong() == 0 &&
          node->quantization() == nullptr) {
        node->mutable_metadata().Clear();
      }
    }
    for (const GraphTensor& tensor : expected.tensors()) {
      if (actual.FindTensor(tensor.name) != nullptr) {
        actual.SetTensor(tensor.name, tensor.value, tensor.buffer);
      }
    }
    const std::string diff = DiffGraphs(expected, actual);
    *listener << "differs from the expected graph:\n" << diff;
    return diff.empty();
  }

  void DescribeTo(std::ostream* os) const override { *os << "equals the graph\n" << text_; }

 private:
  const std::string text_;
};

}  // namespace

Graph ParseGraph(absl::string_view text) {
  absl::StatusOr<Graph> graph = GraphFromProto(ParseProto(text));
  CHECK(graph.ok()) << graph.status();
  return *std::move(graph);
}

::testing::Matcher<const Graph&> EqualsGraph(absl::string_view text) {
  return ::testing::Matcher<const Graph&>(new EqualsGraphMatcher(text));
}

}  // namespace mase
