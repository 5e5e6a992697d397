// Graph: a network as a mutable dataflow graph.
//
//   x ──► seq_blocks_0 ──► seq_blocks_1 ──► output
//
// A Graph owns Nodes in an order that is topological while nobody breaks it (the
// verifier tells). A Node applies an op from the table (op_schema.h) to input
// Values and produces output Values; a Value knows who made it and who uses it.
// Parameters and buffers are named tensors of the graph ("seq_blocks.2.weight")
// that nodes refer to by local name ("weight"), so that a module called twice
// shares them.
//
//   for (Node* node : graph.NodesInOrder()) {  // A copy of the order: erasing is safe.
//     if (node->op() != ops::kIdentity) continue;
//     graph.ReplaceAllUses(node->outputs()[0], node->inputs()[0]);
//     MASE_RETURN_IF_ERROR(graph.EraseNode(node));
//   }
//
// Nodes and Values have stable addresses until erased; ids are dense and never
// reused. Every edit of structure, attributes, tensors or quantization goes
// through a Graph method and bumps version(); notes about a node (metadata) do
// not. Not thread-safe; reading from many threads while nobody writes is fine.
#ifndef MASE_GRAPH_GRAPH_H_
#define MASE_GRAPH_GRAPH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/attribute.h"
#include "mase/graph/op_schema.h"
#include "mase/tensor/tensor.h"
#include "proto/metadata.pb.h"

namespace mase {

class Graph;
class Node;

// What a node is in the traced program; the names are PyTorch FX's.
enum class NodeKind {
  kPlaceholder,
  kGetAttr,
  kCallFunction,
  kCallMethod,
  kCallModule,
  kOutput,
};

// "placeholder", "call_module", ...
absl::string_view NodeKindName(NodeKind kind);

// One place where a value is read: argument `input` of `node`.
struct Use {
  Node* node;
  int input;
};

// One result of a node.
class Value {
 public:
  Node* producer() const { return producer_; }
  int index() const { return index_; }
  // The producer's name, for further results "<producer>.<index>".
  std::string name() const;
  absl::Span<const Use> uses() const { return uses_; }

  // Shape and type for the batch that the graph was last inferred with
  // (shape_inference.h); rank 0 before.
  const Shape& shape() const { return info_.shape; }
  DType dtype() const { return info_.dtype; }
  const ValueInfo& info() const { return info_; }

 private:
  friend class Graph;
  Node* producer_ = nullptr;
  int index_ = 0;
  std::vector<Use> uses_;
  ValueInfo info_;
};

// A tensor of the graph under the name it has in its module.
struct Parameter {
  std::string name;    // "weight"
  std::string tensor;  // "seq_blocks.2.weight"
};

class Node {
 public:
  int id() const { return id_; }
  const std::string& name() const { return name_; }
  NodeKind kind() const { return kind_; }
  absl::string_view op() const { return schema_->name; }
  const OpSchema& schema() const { return *schema_; }
  bool Is(OpTrait trait) const { return schema_->Is(trait); }
  const std::string& target() const { return target_; }

  absl::Span<Value* const> inputs() const { return inputs_; }
  absl::Span<Value* const> outputs() const { return outputs_; }
  const Attributes& attributes() const { return attributes_; }
  absl::Span<const Parameter> parameters() const { return parameters_; }
  // The tensor's qualified name, or null where the module lacks it (no bias).
  const std::string* FindParameter(absl::string_view name) const;

  const NodeMetadata& metadata() const;
  NodeMetadata& mutable_metadata();  // For `common` and `software`; see Graph::SetQuantization.
  // The quantization record, or null for a float node.
  const Quantization* quantization() const;

  // MASE's classification: mase_type ("module_related_func") and mase_op.
  absl::string_view mase_type() const;
  // A call_method's op is its method name, everything else's the op's.
  absl::string_view mase_op() const { return op(); }

  // How Python prints what the node calls: "Linear(in_features=16, ...)" for a
  // module, the function's or method's name, else the target. A quantized
  // module's class carries its format: "LinearInteger".
  std::string Description() const;
  // The class or function alone: "LinearInteger", "add", "x".
  std::string TypeName() const;

 private:
  friend class Graph;
  int id_ = 0;
  std::string name_;
  NodeKind kind_ = NodeKind::kPlaceholder;
  const OpSchema* schema_ = nullptr;
  std::string target_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  Attributes attributes_;
  std::vector<Parameter> parameters_;
  std::unique_ptr<NodeMetadata> metadata_;  // Null while nothing is known.
  Node* previous_ = nullptr;
  Node* next_ = nullptr;
};

// A tensor of the graph.
struct GraphTensor {
  std::string name;
  Tensor value;
  bool buffer = false;  // Running statistics and the like: not trained.
};

// What AddNode needs. Attributes with defaults may be left out.
struct NodeSpec {
  std::string name;  // Made unique with _1, _2, ... where taken.
  NodeKind kind = NodeKind::kCallModule;
  std::string op;
  std::string target;
  std::vector<Value*> inputs;
  Attributes attributes;
  std::vector<Parameter> parameters;
};

class Graph {
 public:
  explicit Graph(std::string name = "") : name_(std::move(name)) {}
  ~Graph();
  Graph(Graph&& other) noexcept;
  Graph& operator=(Graph&& other) noexcept;

  // A deep copy of nodes and notes; tensors are shared until written.
  Graph Clone() const;

  const std::string& name() const { return name_; }
  void set_name(std::string name);
  // Changes with every edit; equal versions of one object mean an equal graph.
  int64_t version() const { return version_; }

  // ---- Nodes ----

  int node_count() const { return static_cast<int>(by_name_.size()); }
  // Ids are below this; the slot of an erased node is null.
  int id_limit() const { return static_cast<int>(nodes_.size()); }
  Node* node_by_id(int id) const { return nodes_[id].get(); }
  // A snapshot in graph order, safe to walk while editing other nodes.
  std::vector<Node*> NodesInOrder() const;
  // Walking without a snapshot: first(), then next(node) until null.
  Node* first() const { return first_; }
  static Node* next(const Node* node) { return node->next_; }
  Node* FindNode(absl::string_view name) const;  // Null if absent.
  // NotFound with the nearest name.
  absl::StatusOr<Node*> LookUpNode(absl::string_view name) const;
  std::vector<Node*> placeholders() const;
  // The output node; null while there is none.
  Node* output() const { return output_; }

  // Appends a node, or puts it before `before`. InvalidArgument or NotFound if
  // the op, an attribute, the number of inputs or a second output is wrong;
  // ResourceExhausted beyond the node limit. Nothing changes on error.
  absl::StatusOr<Node*> AddNode(NodeSpec spec, Node* before = nullptr);

  // FailedPrecondition while a result is used. Its tensors stay in the graph.
  absl::Status EraseNode(Node* node);

  // Makes argument `input` of `node` read `value`.
  void ReplaceInput(Node* node, int input, Value* value);
  // Makes every reader of `from` read `to`.
  void ReplaceAllUses(Value* from, Value* to);
  // InvalidArgument if the op has no such attribute or it has another type.
  absl::Status SetAttribute(Node* node, absl::string_view name, Attribute value);
  // Makes the node's tensor of that local name ("bias") the graph's tensor `tensor`. A new one goes
  // behind those that the node has. NotFound if the graph has no such tensor.
  absl::Status SetParameter(Node* node, absl::string_view name, absl::string_view tensor);
  void SetQuantization(Node* node, Quantization quantization);
  void ClearQuantization(Node* node);
  // Only shape_inference.h: writes what was inferred. Does not count as an edit.
  void SetInfo(Value* value, ValueInfo info) { value->info_ = std::move(info); }

  // ---- Tensors, in the order in which they were added ----

  absl::Span<const GraphTensor> tensors() const { return tensors_; }
  const GraphTensor* FindTensor(absl::string_view name) const;  // Null if absent.
  // Adds or replaces; a replaced tensor keeps its place.
  void SetTensor(absl::string_view name, Tensor value, bool buffer);
  // Removes the tensors, all or none of them; the others keep their order. A name given twice
  // counts once. NotFound without such a tensor; FailedPrecondition, naming the node, while one
  // reads it. Takes time linear in the graph, so give all names in one call.
  absl::Status RemoveTensors(absl::Span<const std::string> names);
  absl::Status RemoveTensor(absl::string_view name) { return RemoveTensors({std::string(name)}); }
  // The named tensor's elements for writing in place (training).
  Tensor* MutableTensor(absl::string_view name);
  // Elements of all trained tensors; of all buffers.
  int64_t parameter_count() const;
  int64_t buffer_count() const;

 private:
  absl::Status CheckSpec(const NodeSpec& spec, const OpSchema& schema) const;
  std::string UniqueName(absl::string_view wanted) const;
  void Link(Node* node, Node* before);
  void Unlink(Node* node);
  static void RemoveUse(Value* value, const Node* node, int input);
  void Touch() { ++version_; }

  std::string name_;
  int64_t version_ = 0;
  std::vector<std::unique_ptr<Node>> nodes_;  // By id.
  std::vector<std::unique_ptr<Value>> values_;
  Node* first_ = nullptr;
  Node* last_ = nullptr;
  Node* output_ = nullptr;
  absl::flat_hash_map<std::string, Node*> by_name_;
  // Where the search for a free suffix of a name goes on, so that a million
  // nodes of one name do not take quadratic time.
  mutable absl::flat_hash_map<std::string, int> next_suffix_;
  std::vector<GraphTensor> tensors_;
  absl::flat_hash_map<std::string, size_t> tensor_by_name_;
};

}  // namespace mase

#endif  // MASE_GRAPH_GRAPH_H_
