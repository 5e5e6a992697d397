// What a node and its results say of themselves; who changes them is the graph (graph.cc).
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "mase/graph/graph.h"

namespace mase {

absl::string_view NodeKindName(NodeKind kind) {
  static constexpr absl::string_view kNames[] = {"placeholder", "get_attr",    "call_function",
                                                 "call_method", "call_module", "output"};
  return kNames[static_cast<int>(kind)];
}

std::string Value::name() const {
  return index_ == 0 ? producer_->name() : absl::StrCat(producer_->name(), ".", index_);
}

const std::string* Node::FindParameter(absl::string_view name) const {
  for (const Parameter& parameter : parameters_) {
    if (parameter.name == name) return &parameter.tensor;
  }
  return nullptr;
}

const NodeMetadata& Node::metadata() const {
  return metadata_ != nullptr ? *metadata_ : NodeMetadata::default_instance();
}

NodeMetadata& Node::mutable_metadata() {
  if (metadata_ == nullptr) metadata_ = std::make_unique<NodeMetadata>();
  return *metadata_;
}

const Quantization* Node::quantization() const {
  return metadata_ != nullptr && metadata_->has_quantization() ? &metadata_->quantization()
                                                               : nullptr;
}

absl::string_view Node::mase_type() const {
  switch (kind_) {
    case NodeKind::kPlaceholder:
      return "placeholder";
    case NodeKind::kGetAttr:
      return "get_attr";
    case NodeKind::kOutput:
      return "output";
    case NodeKind::kCallMethod:
      return "implicit_func";
    case NodeKind::kCallFunction:
      return schema_->function_type;
    case NodeKind::kCallModule:
      return schema_->module_type;
  }
  return "";
}

std::string Node::TypeName() const {
  if (kind_ == NodeKind::kPlaceholder || kind_ == NodeKind::kOutput) return target_;
  if (kind_ != NodeKind::kCallModule) {
    const Quantization* record = quantization();
    return record == nullptr ? std::string(op()) : absl::StrCat(op(), "_", record->format());
  }
  const Quantization* record = quantization();
  return absl::StrCat(schema_->module_class, record == nullptr ? "" : record->class_suffix());
}

std::string Node::Description() const {
  if (kind_ != NodeKind::kCallModule) return TypeName();
  return ModuleRepr(*schema_, attributes_, TypeName());
}

}  // namespace mase
