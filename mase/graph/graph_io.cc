#include "mase/graph/graph_io.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/text_format.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/text_error.h"
#include "mase/graph/verifier.h"

namespace mase {
namespace {

constexpr int kFormatVersion = 1;

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

void AttributeToProto(const std::string& name, const Attribute& attribute, AttributeProto* proto) {
  proto->set_name(name);
  struct Setter {
    AttributeProto* proto;
    void operator()(bool value) const { proto->set_b(value); }
    void operator()(int64_t value) const { proto->set_i(value); }
    void operator()(double value) const { proto->set_f(value); }
    void operator()(const std::string& value) const { proto->set_s(value); }
    void operator()(const std::vector<int64_t>& values) const {
      proto->mutable_ints()->mutable_value()->Add(values.begin(), values.end());
    }
  };
  std::visit(Setter{proto}, attribute);
}

absl::StatusOr<Attribute> AttributeFromProto(const AttributeProto& proto) {
  switch (proto.value_case()) {
    case AttributeProto::kB:
      return Attribute(proto.b());
    case AttributeProto::kI:
      return Attribute(int64_t{proto.i()});
    case AttributeProto::kF:
      return Attribute(proto.f());
    case AttributeProto::kS:
      return Attribute(proto.s());
    case AttributeProto::kInts:
      return Attribute(
          std::vector<int64_t>(proto.ints().value().begin(), proto.ints().value().end()));
    case AttributeProto::VALUE_NOT_SET:
      break;
  }
  return Invalid("attribute '", proto.name(), "' has no value");
}

// The nodes' positions in an order in which every input comes first: by
// decreasing file order wherever that is free (Kahn's algorithm with a FIFO of
// ready nodes would interleave branches; the file's own order is kept if valid).
absl::StatusOr<std::vector<int>> TopologicalOrder(const GraphProto& proto,
                                                  const std::vector<std::vector<int>>& producers) {
  const int count = proto.node_size();
  std::vector<std::vector<int>> readers(count);
  std::vector<int> missing(count, 0);
  bool ordered = true;
  for (int i = 0; i < count; ++i) {
    for (int producer : producers[i]) {
      readers[producer].push_back(i);
      ++missing[i];
      ordered = ordered && producer < i;
    }
  }
  std::vector<int> order;
  order.reserve(count);
  if (ordered) {
    for (int i = 0; i < count; ++i) order.push_back(i);
    return order;
  }
  // A heap of ready nodes by file position makes the result independent of how
  // the edges happen to be stored.
  std::vector<int> ready;
  for (int i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.push_back(i);
  }
  std::make_heap(ready.begin(), ready.end(), std::greater<int>());
  while (!ready.empty()) {
    std::pop_heap(ready.begin(), ready.end(), std::greater<int>());
    const int next = ready.back();
    ready.pop_back();
    order.push_back(next);
    for (int reader : readers[next]) {
      if (--missing[reader] > 0) continue;
      ready.push_back(reader);
      std::push_heap(ready.begin(), ready.end(), std::greater<int>());
    }
  }
  if (static_cast<int>(order.size()) == count) return order;
  // Walk back from a stuck node through stuck producers: after `count` steps the
  // walk is inside a cycle.
  int stuck = static_cast<int>(
      std::find_if(missing.begin(), missing.end(), [](int m) { return m > 0; }) - missing.begin());
  for (int step = 0; step < count; ++step) {
    for (int producer : producers[stuck]) {
      if (missing[producer] > 0) {
        stuck = producer;
        break;
      }
    }
  }
  return Invalid(proto.node(stuck).name(), ": is part of a cycle");
}

// For each node, the positions of the nodes that it reads.
absl::StatusOr<std::vector<std::vector<int>>> FindProducers(const GraphProto& proto) {
  absl::flat_hash_map<absl::string_view, int> by_name;
  for (int i = 0; i < proto.node_size(); ++i) {
    if (!by_name.emplace(proto.node(i).name(), i).second) {
      return Invalid("two nodes are named '", proto.node(i).name(), "'");
    }
  }
  std::vector<std::vector<int>> producers(proto.node_size());
  for (int i = 0; i < proto.node_size(); ++i) {
    for (const std::string& input : proto.node(i).input()) {
      const auto it = by_name.find(input);
      if (it == by_name.end()) {
        std::vector<std::string> known;
        for (const NodeProto& node : proto.node()) known.push_back(node.name());
        return Invalid(proto.node(i).name(), ": input '", input, "' is produced by no node",
                       Suggest(input, known));
      }
      producers[i].push_back(it->second);
    }
  }
  return producers;
}

absl::StatusOr<NodeSpec> SpecFromProto(const NodeProto& proto) {
  NodeSpec spec;
  spec.name = proto.name();
  if (!NodeProto::Kind_IsValid(proto.kind()) || proto.kind() == NodeProto::KIND_UNSPECIFIED) {
    return Invalid("has no known kind");
  }
  spec.kind = static_cast<NodeKind>(static_cast<int>(proto.kind()) - 1);
  spec.op = proto.op();
  spec.target = proto.target();
  for (const AttributeProto& attribute : proto.attribute()) {
    if (spec.attributes.Find(attribute.name()) != nullptr) {
      return Invalid("attribute '", attribute.name(), "' is given twice");
    }
    MASE_ASSIGN_OR_RETURN(Attribute value, AttributeFromProto(attribute));
    spec.attributes.Set(attribute.name(), std::move(value));
  }
  for (const ParameterProto& parameter : proto.parameter()) {
    spec.parameters.push_back({parameter.name(), parameter.tensor()});
  }
  return spec;
}

void FillNode(const Node& node, NodeProto& proto) {
  proto.set_name(node.name());
  // The proto's numbers are the enum's plus one, as zero is "unspecified".
  proto.set_kind(static_cast<NodeProto::Kind>(static_cast<int>(node.kind()) + 1));
  proto.set_op(std::string(node.op()));
  proto.set_target(node.target());
  for (const Value* input : node.inputs()) proto.add_input(input->name());
  for (const auto& [name, value] : node.attributes()) {
    AttributeToProto(name, value, proto.add_attribute());
  }
  for (const Parameter& parameter : node.parameters()) {
    ParameterProto* added = proto.add_parameter();
    added->set_name(parameter.name);
    added->set_tensor(parameter.tensor);
  }
  if (node.metadata().ByteSizeLong() > 0) *proto.mutable_metadata() = node.metadata();
}

void FillTensor(absl::string_view name, const Tensor& tensor, TensorData data, TensorProto& proto) {
  proto.set_name(std::string(name));
  proto.set_dtype(std::string(DTypeName(tensor.dtype())));
  for (int64_t extent : tensor.shape().dims()) proto.add_dims(extent);
  if (data == TensorData::kInline) proto.set_data(tensor.raw_data(), tensor.size_bytes());
}

void FillGraph(const Graph& graph, TensorData data, GraphProto& proto) {
  proto.set_format_version(kFormatVersion);
  proto.set_name(graph.name());
  proto.mutable_node()->Reserve(graph.node_count());
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    FillNode(*node, *proto.add_node());
  }
  for (const GraphTensor& tensor : graph.tensors()) {
    TensorProto& added = *proto.add_tensor();
    FillTensor(tensor.name, tensor.value, data, added);
    added.set_buffer(tensor.buffer);
  }
}

// Millions of small messages are given back at once.
GraphProto& OnArena(google::protobuf::Arena& arena) {
  return *google::protobuf::Arena::CreateMessage<GraphProto>(&arena);
}

}  // namespace

NodeProto NodeToProto(const Node& node) {
  NodeProto proto;
  FillNode(node, proto);
  return proto;
}

TensorProto TensorToProto(absl::string_view name, const Tensor& tensor, TensorData data) {
  TensorProto proto;
  FillTensor(name, tensor, data, proto);
  return proto;
}

absl::StatusOr<Tensor> TensorFromProto(const TensorProto& proto) {
  MASE_ASSIGN_OR_RETURN(DType dtype, ParseDType(proto.dtype()));
  const Shape shape{absl::Span<const int64_t>(proto.dims().data(), proto.dims().size())};
  MASE_RETURN_IF_ERROR(shape.Validate());
  // Whose data are elsewhere, as in a checkpoint, says here what it likes of its size.
  if (proto.data().empty()) return Tensor::CreateZeros(dtype, shape);
  const size_t wanted = static_cast<size_t>(shape.elements()) * ElementSize(dtype);
  if (proto.data().size() != wanted) {
    return Invalid(shape.ToString(), " has ", proto.data().size(), " bytes of data, want ", wanted);
  }
  MASE_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Create(dtype, shape));
  std::memcpy(tensor.mutable_raw_data(), proto.data().data(), wanted);
  return tensor;
}

GraphProto GraphToProto(const Graph& graph, TensorData data) {
  GraphProto proto;
  FillGraph(graph, data, proto);
  return proto;
}

absl::StatusOr<Graph> GraphFromProto(const GraphProto& proto) {
  if (proto.format_version() != kFormatVersion) {
    return Invalid("graph format version ", proto.format_version(), ", this build reads ",
                   kFormatVersion);
  }
  if (proto.node_size() > limits::kMaxGraphNodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("graph has ", proto.node_size(), " nodes, limit ", limits::kMaxGraphNodes));
  }
  Graph graph(proto.name());
  for (const TensorProto& tensor : proto.tensor()) {
    if (graph.FindTensor(tensor.name()) != nullptr) {
      return Invalid("two tensors are named '", tensor.name(), "'");
    }
    absl::StatusOr<Tensor> value = TensorFromProto(tensor);
    if (!value.ok()) {
      return absl::Status(value.status().code(),
                          absl::StrCat("tensor '", tensor.name(), "': ", value.status().message()));
    }
    graph.SetTensor(tensor.name(), *std::move(value), tensor.buffer());
  }
  MASE_ASSIGN_OR_RETURN(const auto producers, FindProducers(proto));
  MASE_ASSIGN_OR_RETURN(const std::vector<int> order, TopologicalOrder(proto, producers));
  std::vector<Node*> made(proto.node_size(), nullptr);
  for (int i : order) {
    absl::StatusOr<NodeSpec> spec = SpecFromProto(proto.node(i));
    if (!spec.ok()) return Invalid(proto.node(i).name(), ": ", spec.status().message());
    for (int producer : producers[i]) {
      if (made[producer]->outputs().empty()) {
        return Invalid(proto.node(i).name(), ": input '", made[producer]->name(),
                       "' produces nothing");
      }
      spec->inputs.push_back(made[producer]->outputs()[0]);
    }
    MASE_ASSIGN_OR_RETURN(made[i], graph.AddNode(*std::move(spec)));
    if (proto.node(i).has_metadata()) made[i]->mutable_metadata() = proto.node(i).metadata();
  }
  MASE_RETURN_IF_ERROR(VerifyGraph(graph));
  return graph;
}

std::string GraphToText(const Graph& graph) {
  std::string text;
  google::protobuf::Arena arena;
  GraphProto& proto = OnArena(arena);
  FillGraph(graph, TensorData::kOmitted, proto);
  google::protobuf::TextFormat::PrintToString(proto, &text);
  return text;
}

absl::StatusOr<Graph> GraphFromText(absl::string_view text) {
  google::protobuf::Arena arena;
  GraphProto& proto = OnArena(arena);
  FirstTextError errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(limits::kMaxConfigNesting);
  if (!parser.ParseFromString(std::string(text), &proto)) {
    return Invalid("graph text ", errors.text());
  }
  return GraphFromProto(proto);
}

}  // namespace mase
