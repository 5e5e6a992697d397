// What a net costs: arithmetic, operations on bits, and bits to store, node by node.
//
//   MASE_ASSIGN_OR_RETURN(const std::vector<NodeCost> costs, CostsOf(graph, shapes));
//   int64_t forward = 0;
//   for (const NodeCost& cost : costs) forward += cost.forward;
//
// Arithmetic is that of the table of ops (CostRule, graph/op_schema.h) for the rows of `shapes`:
//
//   forward   macs + other           (CostConvention::kMac)
//   backward  2 macs + other         gradients by input and by weight cost a product each
//   flops     2 macs + flops         (CostConvention::kFlop; the forward pass at rest)
//
// Adding a bias is not counted. An operation on bits is one of these times the width of its input,
// and of its weight where it has one:
//
//   forward_bitops = forward * bits(data_in) * bits(weight)
//
// with 32 for operands that stay float. docs/costs.md has the sources and worked tables.
#ifndef MASE_QUANTIZE_COST_H_
#define MASE_QUANTIZE_COST_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "proto/format.pb.h"

namespace mase {

// How many bits a value of an operand has.
enum class BitCount {
  kCode,       // Of its own code: what arithmetic sees of it. Whole.
  kStored,     // The same with its part of what a block shares, where there are blocks.
  kReference,  // MASE's: the sum of the metadata's `precision`, width + fraction of an integer.
};

// Bits of a value in a tensor of `shape` that belongs to `operand` of the node; of float operands
// those of `dtype`. InvalidArgument, naming node and operand: kReference of a format whose
// precision MASE cannot add up (a field that is None, block sizes); the errors of Format::Create.
absl::StatusOr<double> OperandBits(const Node& node, absl::string_view operand, DType dtype,
                                   const Shape& shape, const InferredShapes& shapes,
                                   BitCount count);

struct NodeCost {
  const Node* node = nullptr;
  int64_t parameters = 0;  // Trained elements that the node reads.
  int64_t weights = 0;     // The same without biases of layers that sum products.
  int64_t macs = 0;
  int64_t forward = 0, backward = 0;
  int64_t flops = 0;
  int64_t forward_bitops = 0, backward_bitops = 0;
  // Bits of the input and of the weight, of layers that have one; 0 for all other nodes.
  int64_t bits = 0;
  // HGQ's effective bit operations, of layers and products whose operands are integers: for each
  // product of the sums, the bits of the input's code times the bits from the highest to the lowest
  // one of the weight's magnitude. Signs do not count, and a weight of 0 costs nothing.
  std::optional<int64_t> ebops;
};

// All nodes, in graph order, for the rows of `shapes`. EXACT counts bits as kCode (operations) and
// kStored (stored), REFERENCE as kReference, whose errors it has. OutOfRange, naming the node, if a
// number is 2^63 or more.
absl::StatusOr<std::vector<NodeCost>> CostsOf(
    const Graph& graph, const InferredShapes& shapes,
    FormatProto::Semantics semantics = FormatProto::EXACT);

// What a tensor of the graph takes in memory.
struct TensorCost {
  const GraphTensor* tensor = nullptr;
  double bits_per_value = 0;  // kStored, by the format of the first node that reads it.
  int64_t bytes = 0;          // Packed without gaps, the last byte filled up.
};

// All tensors, in the graph's order; running statistics and counters too, which stay as they are.
// The errors of OperandBits.
absl::StatusOr<std::vector<TensorCost>> TensorCostsOf(const Graph& graph,
                                                      const InferredShapes& shapes);

}  // namespace mase

#endif  // MASE_QUANTIZE_COST_H_
