#include "mase/graph/graph.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"

namespace mase {
namespace {

// An op's attributes with defaults filled in; an error names what is wrong.
absl::StatusOr<Attributes> CompleteAttributes(const OpSchema& schema, const Attributes& given) {
  Attributes complete;
  for (const AttributeSpec& spec : schema.attributes) {
    const Attribute* value = given.Find(spec.name);
    if (value == nullptr && spec.required) {
      return absl::InvalidArgumentError(
          absl::StrCat(schema.name, " needs attribute '", spec.name, "'"));
    }
    if (value != nullptr && value->index() != spec.fallback.index()) {
      return absl::InvalidArgumentError(absl::StrCat(schema.name, ": attribute '", spec.name,
                                                     "' is ", AttributeTypeName(*value), ", want ",
                                                     AttributeTypeName(spec.fallback)));
    }
    complete.Set(spec.name, value != nullptr ? *value : spec.fallback);
  }
  for (const auto& [name, value] : given) {
    if (complete.Find(name) != nullptr) continue;
    std::vector<std::string> known;
    for (const AttributeSpec& spec : schema.attributes) known.emplace_back(spec.name);
    return absl::InvalidArgumentError(
        absl::StrCat(schema.name, " has no attribute '", name, "'", Suggest(name, known)));
  }
  return complete;
}

bool IsIdentifier(absl::string_view name) {
  if (name.empty() || name.size() > limits::kMaxNameBytes) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return c == '_' || absl::ascii_isalnum(c); });
}

}  // namespace

Graph::~Graph() = default;
Graph::Graph(Graph&& other) noexcept { *this = std::move(other); }

Graph& Graph::operator=(Graph&& other) noexcept {
  name_ = std::move(other.name_);
  version_ = other.version_ + 1;
  nodes_ = std::move(other.nodes_);
  values_ = std::move(other.values_);
  first_ = std::exchange(other.first_, nullptr);
  last_ = std::exchange(other.last_, nullptr);
  output_ = std::exchange(other.output_, nullptr);
  by_name_ = std::exchange(other.by_name_, {});
  next_suffix_ = std::exchange(other.next_suffix_, {});
  tensors_ = std::exchange(other.tensors_, {});
  tensor_by_name_ = std::exchange(other.tensor_by_name_, {});
  return *this;
}

Graph Graph::Clone() const {
  Graph copy(name_);
  copy.nodes_.reserve(by_name_.size());
  copy.values_.reserve(by_name_.size());
  copy.by_name_.reserve(by_name_.size());
  std::vector<const Node*> copies(nodes_.size());  // By the id of the original.
  for (const Node* node = first_; node != nullptr; node = next(node)) {
    // Inputs are wired below: a graph under edit may be out of order.
    auto clone = std::make_unique<Node>();
    clone->id_ = static_cast<int>(copy.nodes_.size());
    clone->name_ = node->name_;
    clone->kind_ = node->kind_;
    clone->schema_ = node->schema_;
    clone->target_ = node->target_;
    clone->attributes_ = node->attributes_;
    clone->parameters_ = node->parameters_;
    if (node->metadata_ != nullptr)
      clone->metadata_ = std::make_unique<NodeMetadata>(*node->metadata_);
    for (const Value* value : node->outputs_) {
      copy.values_.push_back(std::make_unique<Value>());
      Value* made = copy.values_.back().get();
      made->producer_ = clone.get();
      made->index_ = value->index_;
      made->info_ = value->info_;
      clone->outputs_.push_back(made);
    }
    copies[node->id_] = clone.get();
    copy.by_name_.emplace(clone->name_, clone.get());
    copy.Link(clone.get(), nullptr);
    if (node == output_) copy.output_ = clone.get();
    copy.nodes_.push_back(std::move(clone));
  }
  Node* clone = copy.first_;
  for (const Node* node = first_; node != nullptr; node = next(node), clone = clone->next_) {
    for (const Value* input : node->inputs_) {
      Value* value = copies[input->producer_->id_]->outputs_[input->index_];
      value->uses_.push_back({clone, static_cast<int>(clone->inputs_.size())});
      clone->inputs_.push_back(value);
    }
  }
  copy.tensors_ = tensors_;
  copy.tensor_by_name_ = tensor_by_name_;
  return copy;
}

void Graph::set_name(std::string name) {
  name_ = std::move(name);
  Touch();
}

std::vector<Node*> Graph::NodesInOrder() const {
  std::vector<Node*> nodes;
  nodes.reserve(by_name_.size());
  for (Node* node = first_; node != nullptr; node = next(node)) nodes.push_back(node);
  return nodes;
}

Node* Graph::FindNode(absl::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

absl::StatusOr<Node*> Graph::LookUpNode(absl::string_view name) const {
  if (Node* node = FindNode(name); node != nullptr) return node;
  std::vector<std::string> known;
  for (const Node* node = first_; node != nullptr; node = next(node)) known.push_back(node->name());
  return absl::NotFoundError(
      absl::StrCat("no node '", name, "' in graph '", name_, "'", Suggest(name, known)));
}

std::vector<Node*> Graph::placeholders() const {
  std::vector<Node*> found;
  for (Node* node = first_; node != nullptr; node = next(node)) {
    if (node->kind_ == NodeKind::kPlaceholder) found.push_back(node);
  }
  return found;
}

absl::Status Graph::CheckSpec(const NodeSpec& spec, const OpSchema& schema) const {
  if (!IsIdentifier(spec.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("node name '", spec.name.substr(0, 80), "' is not an identifier of 1 to ",
                     limits::kMaxNameBytes, " letters, digits and _"));
  }
  const size_t most = schema.arguments.size();
  const size_t least = most - schema.optional_arguments;
  const bool too_many = spec.inputs.size() > most && !schema.variadic;
  if (spec.inputs.size() < least || too_many) {
    return absl::InvalidArgumentError(absl::StrCat(spec.name, ": ", schema.name, " has ",
                                                   spec.inputs.size(), " inputs, want ", least,
                                                   schema.variadic ? " or more"
                                                   : most != least ? absl::StrCat(" to ", most)
                                                                   : ""));
  }
  if (node_count() >= limits::kMaxGraphNodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(spec.name, ": more than ", limits::kMaxGraphNodes, " nodes"));
  }
  if (spec.kind == NodeKind::kOutput && output_ != nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.name, ": the graph has an output already, '", output_->name(), "'"));
  }
  const bool known_form = spec.kind == NodeKind::kCallModule     ? !schema.module_class.empty()
                          : spec.kind == NodeKind::kCallFunction ? !schema.function_type.empty()
                          : spec.kind == NodeKind::kOutput       ? schema.name == ops::kOutput
                          : spec.kind == NodeKind::kPlaceholder  ? schema.name == ops::kPlaceholder
                                                                 : true;
  if (!known_form) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.name, ": op ", schema.name, " cannot be a ", NodeKindName(spec.kind)));
  }
  return absl::OkStatus();
}

std::string Graph::UniqueName(absl::string_view wanted) const {
  if (!by_name_.contains(wanted)) return std::string(wanted);
  int& suffix = next_suffix_[wanted];
  std::string name;
  do {
    name = absl::StrCat(wanted, "_", ++suffix);
  } while (by_name_.contains(name));
  return name;
}

absl::StatusOr<Node*> Graph::AddNode(NodeSpec spec, Node* before) {
  absl::StatusOr<const OpSchema*> schema = LookUpOp(spec.op);
  if (!schema.ok()) {
    return absl::Status(schema.status().code(),
                        absl::StrCat(spec.name, ": ", schema.status().message()));
  }
  MASE_RETURN_IF_ERROR(CheckSpec(spec, **schema));
  absl::StatusOr<Attributes> attributes = CompleteAttributes(**schema, spec.attributes);
  if (!attributes.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(spec.name, ": ", attributes.status().message()));
  }
  auto owned = std::make_unique<Node>();
  Node* node = owned.get();
  node->id_ = static_cast<int>(nodes_.size());
  node->name_ = UniqueName(spec.name);
  node->kind_ = spec.kind;
  node->schema_ = *schema;
  node->target_ = std::move(spec.target);
  node->inputs_ = std::move(spec.inputs);
  node->attributes_ = *std::move(attributes);
  node->parameters_ = std::move(spec.parameters);
  for (size_t i = 0; i < node->inputs_.size(); ++i) {
    node->inputs_[i]->uses_.push_back({node, static_cast<int>(i)});
  }
  for (int i = 0; i < node->schema_->results; ++i) {
    values_.push_back(std::make_unique<Value>());
    values_.back()->producer_ = node;
    values_.back()->index_ = i;
    node->outputs_.push_back(values_.back().get());
  }
  if (spec.kind == NodeKind::kOutput) output_ = node;
  by_name_[node->name_] = node;
  nodes_.push_back(std::move(owned));
  Link(node, before);
  Touch();
  return node;
}

absl::Status Graph::EraseNode(Node* node) {
  for (const Value* value : node->outputs_) {
    if (!value->uses_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          node->name(), " cannot be erased: ", value->uses_[0].node->name(), " reads it"));
    }
  }
  for (size_t i = 0; i < node->inputs_.size(); ++i) {
    RemoveUse(node->inputs_[i], node, static_cast<int>(i));
  }
  by_name_.erase(node->name_);
  if (output_ == node) output_ = nullptr;
  Unlink(node);
  nodes_[node->id_].reset();
  Touch();
  return absl::OkStatus();
}

void Graph::ReplaceInput(Node* node, int input, Value* value) {
  CHECK(input >= 0 && input < static_cast<int>(node->inputs_.size()))
      << node->name() << " has no input " << input;
  RemoveUse(node->inputs_[input], node, input);
  node->inputs_[input] = value;
  value->uses_.push_back({node, input});
  Touch();
}

void Graph::ReplaceAllUses(Value* from, Value* to) {
  if (from == to) return;
  for (const Use& use : from->uses_) {
    use.node->inputs_[use.input] = to;
    to->uses_.push_back(use);
  }
  from->uses_.clear();
  Touch();
}

absl::Status Graph::SetAttribute(Node* node, absl::string_view name, Attribute value) {
  Attributes changed = node->attributes_;
  changed.Set(name, std::move(value));
  absl::StatusOr<Attributes> complete = CompleteAttributes(node->schema(), changed);
  if (!complete.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(node->name(), ": ", complete.status().message()));
  }
  node->attributes_ = *std::move(complete);
  Touch();
  return absl::OkStatus();
}

absl::Status Graph::SetParameter(Node* node, absl::string_view name, absl::string_view tensor) {
  if (!tensor_by_name_.contains(tensor)) {
    return absl::NotFoundError(
        absl::StrCat(node->name(), ": the graph has no tensor '", tensor, "'"));
  }
  Touch();
  for (Parameter& parameter : node->parameters_) {
    if (parameter.name != name) continue;
    parameter.tensor = std::string(tensor);
    return absl::OkStatus();
  }
  node->parameters_.push_back({std::string(name), std::string(tensor)});
  return absl::OkStatus();
}

void Graph::SetQuantization(Node* node, Quantization quantization) {
  *node->mutable_metadata().mutable_quantization() = std::move(quantization);
  Touch();
}

void Graph::ClearQuantization(Node* node) {
  if (node->quantization() == nullptr) return;
  node->mutable_metadata().clear_quantization();
  Touch();
}

const GraphTensor* Graph::FindTensor(absl::string_view name) const {
  const auto it = tensor_by_name_.find(name);
  return it == tensor_by_name_.end() ? nullptr : &tensors_[it->second];
}

void Graph::SetTensor(absl::string_view name, Tensor value, bool buffer) {
  const auto [it, added] = tensor_by_name_.try_emplace(std::string(name), tensors_.size());
  if (added) tensors_.push_back({std::string(name)});
  tensors_[it->second].value = std::move(value);
  tensors_[it->second].buffer = buffer;
  Touch();
}

absl::Status Graph::RemoveTensors(absl::Span<const std::string> names) {
  absl::flat_hash_set<absl::string_view> gone;
  for (const std::string& name : names) {
    if (!tensor_by_name_.contains(name)) {
      return absl::NotFoundError(absl::StrCat("the graph has no tensor '", name, "'"));
    }
    gone.insert(name);
  }
  if (gone.empty()) return absl::OkStatus();
  for (const Node* node = first_; node != nullptr; node = next(node)) {
    for (const Parameter& parameter : node->parameters_) {
      if (!gone.contains(parameter.tensor)) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          "tensor '", parameter.tensor, "' cannot be removed: ", node->name(), " reads it"));
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (gone.contains(tensors_[i].name)) {
      tensor_by_name_.erase(tensors_[i].name);
      continue;
    }
    if (kept != i) {
      tensor_by_name_[tensors_[i].name] = kept;
      tensors_[kept] = std::move(tensors_[i]);
    }
    ++kept;
  }
  tensors_.resize(kept);
  Touch();
  return absl::OkStatus();
}

Tensor* Graph::MutableTensor(absl::string_view name) {
  const auto it = tensor_by_name_.find(name);
  if (it == tensor_by_name_.end()) return nullptr;
  Touch();
  return &tensors_[it->second].value;
}

int64_t Graph::parameter_count() const {
  int64_t count = 0;
  for (const GraphTensor& tensor : tensors_) count += tensor.buffer ? 0 : tensor.value.elements();
  return count;
}

int64_t Graph::buffer_count() const {
  int64_t count = 0;
  for (const GraphTensor& tensor : tensors_) count += tensor.buffer ? tensor.value.elements() : 0;
  return count;
}

void Graph::Link(Node* node, Node* before) {
  node->next_ = before;
  node->previous_ = before == nullptr ? last_ : before->previous_;
  (node->previous_ == nullptr ? first_ : node->previous_->next_) = node;
  (before == nullptr ? last_ : before->previous_) = node;
}

void Graph::Unlink(Node* node) {
  (node->previous_ == nullptr ? first_ : node->previous_->next_) = node->next_;
  (node->next_ == nullptr ? last_ : node->next_->previous_) = node->previous_;
}

void Graph::RemoveUse(Value* value, const Node* node, int input) {
  auto it = std::find_if(value->uses_.begin(), value->uses_.end(),
                         [&](const Use& use) { return use.node == node && use.input == input; });
  CHECK(it != value->uses_.end()) << node->name() << " is not a reader of " << value->name();
  value->uses_.erase(it);
}

}  // namespace mase
