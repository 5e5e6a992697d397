#include "mase/quantize/net_costs.h"

#include <vector>

#include "mase/base/status_macros.h"
#include "mase/graph/ops.h"
#include "mase/graph/shape_inference.h"
#include "mase/quantize/cost.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr double kFloatBits = 32;

absl::Status AddLinear(const Node& node, const Graph& graph, const InferredShapes& shapes,
                       NetCosts& costs) {
  const std::string* weight = node.FindParameter("weight");
  if (node.op() != ops::kLinear || node.quantization() == nullptr || weight == nullptr) {
    return absl::OkStatus();
  }
  const Tensor& value = graph.FindTensor(*weight)->value;
  MASE_ASSIGN_OR_RETURN(const double bits, OperandBits(node, operands::kWeight, value.dtype(),
                                                       value.shape(), shapes, BitCount::kCode));
  costs.linear_weights += value.elements();
  costs.linear_weight_bits += static_cast<double>(value.elements()) * bits;
  return absl::OkStatus();
}

}  // namespace

NetCosts& NetCosts::operator+=(const NetCosts& other) {
  parameters += other.parameters;
  packed_bytes += other.packed_bytes;
  macs += other.macs;
  bitops += other.bitops;
  ebops += other.ebops;
  linear_weights += other.linear_weights;
  linear_weight_bits += other.linear_weight_bits;
  return *this;
}

double NetCosts::average_bitwidth() const {
  return linear_weights == 0 ? kFloatBits
                             : linear_weight_bits / static_cast<double>(linear_weights);
}

absl::StatusOr<NetCosts> NetCostsOf(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, /*batch=*/1));
  MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> nodes, CostsOf(graph, shapes));
  NetCosts costs;
  for (const NodeCost& node : nodes) {
    costs.macs += node.macs;
    costs.bitops += node.forward_bitops;
    costs.ebops += node.ebops.value_or(node.forward_bitops);
    MASE_RETURN_IF_ERROR(AddLinear(*node.node, graph, shapes, costs));
  }
  MASE_ASSIGN_OR_RETURN(const std::vector<TensorCost> tensors, TensorCostsOf(graph, shapes));
  for (const TensorCost& tensor : tensors) {
    if (tensor.tensor->buffer) continue;
    costs.parameters += tensor.tensor->value.elements();
    costs.packed_bytes += tensor.bytes;
  }
  return costs;
}

}  // namespace mase
