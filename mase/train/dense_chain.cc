#include "mase/train/dense_chain.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "mase/graph/shape_inference.h"

namespace mase {
namespace {

using Offsets = absl::flat_hash_map<std::string, int64_t>;

Offsets OffsetsOf(absl::Span<const TensorSlot> slots) {
  Offsets offsets;
  for (const TensorSlot& slot : slots) offsets[slot.name] = slot.offset;
  return offsets;
}

int64_t OffsetOf(const Node& node, absl::string_view name, const Offsets& offsets) {
  const std::string* tensor = node.FindParameter(name);
  const auto it = tensor == nullptr ? offsets.end() : offsets.find(*tensor);
  return it == offsets.end() ? DenseLayer::kNone : it->second;
}

// x.view(x.size(0), -1) and the like: [rows, ...] -> [rows, all others], the same bytes.
bool IsFlattening(const Node& node, const InferredShapes& shapes) {
  if (!node.Is(OpTrait::kRenames)) return false;
  const Shape& src = shapes.shape(node.inputs()[0]);
  const Shape& dst = shapes.shape(node.outputs()[0]);
  return dst.rank() == 2 && src.rank() >= 2 && dst[0] == src[0];
}

// The one node that computes on `value`, or null. The size that a view asks for is no computation.
const Node* OnlyReader(const Value* value) {
  const Node* reader = nullptr;
  for (const Use& use : value->uses()) {
    if (use.node->Is(OpTrait::kFromShapes)) continue;
    if (reader != nullptr || use.input != 0) return nullptr;
    reader = use.node;
  }
  return reader;
}

}  // namespace

std::optional<DenseChain> FindDenseChain(const Graph& graph,
                                         absl::Span<const TensorSlot> parameters,
                                         absl::Span<const TensorSlot> buffers) {
  // Two rows: with one, an extent of 1 could be the batch or not.
  const absl::StatusOr<InferredShapes> shapes = InferShapesFor(graph, 2);
  if (!shapes.ok() || graph.placeholders().size() != 1 || graph.output() == nullptr) return {};
  const Offsets parameter_at = OffsetsOf(parameters), buffer_at = OffsetsOf(buffers);

  DenseChain chain;
  std::vector<DenseLayer>& layers = chain.layers;
  absl::flat_hash_set<std::string> seen;
  const Node* node = graph.placeholders()[0];
  while (true) {
    node = OnlyReader(node->outputs()[0]);
    if (node == nullptr || node->quantization() != nullptr) return {};
    if (node->kind() == NodeKind::kOutput) break;
    for (const Parameter& parameter : node->parameters()) {
      if (!seen.insert(parameter.tensor).second) return {};  // Called twice: gradients add up.
    }
    if (layers.empty() && IsFlattening(*node, *shapes)) continue;

    const Shape& src = shapes->shape(node->inputs()[0]);
    if (src.rank() != 2) return {};
    DenseLayer layer{.in = src[1], .out = shapes->shape(node->outputs()[0])[1]};
    if (node->op() == ops::kLinear) {
      layer.kind = DenseLayer::Kind::kLinear;
    } else if (node->op() == ops::kRelu) {
      layer.kind = DenseLayer::Kind::kRelu;
    } else if (node->op() == ops::kDropout) {
      layer.kind = DenseLayer::Kind::kDropout;
      chain.dropouts.push_back({node->attributes().Float("p"), layer.in});
    } else if (node->op() == ops::kBatchNorm1d && node->FindParameter("running_mean") != nullptr) {
      layer.kind = DenseLayer::Kind::kBatchNorm;
      layer.epsilon = node->attributes().Float("eps");
      layer.momentum = node->attributes().Float("momentum");
      if (!layers.empty()) layers.back().zero_bias_gradient = true;  // Only read for a linear.
    } else {
      return {};
    }
    layer.weight = OffsetOf(*node, "weight", parameter_at);
    layer.bias = OffsetOf(*node, "bias", parameter_at);
    layer.running_mean = OffsetOf(*node, "running_mean", buffer_at);
    layer.running_var = OffsetOf(*node, "running_var", buffer_at);
    layers.push_back(layer);
  }
  if (layers.empty()) return {};
  return chain;
}

}  // namespace mase
