// Simulated operands: which tensors of a quantised node are rounded, to what, in which shape.
#ifndef MASE_EXEC_SIMULATE_H_
#define MASE_EXEC_SIMULATE_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/kernel/kernel.h"
#include "proto/format.pb.h"

namespace mase {

// The operand that data input `input` of the node belongs to: "data_in", or "weight" for the second
// input of a product.
absl::string_view InputOperand(const Node& node, int input);

// The operand that a tensor of the node's module belongs to; empty if it stays float whatever the
// record says. Under EXACT semantics "weight" and "bias" are rounded. Under REFERENCE, as MASE does:
// not those of batch_norm2d, layer_norm, group_norm and instance_norm2d, and of batch_norm1d also
// running_mean (as weight) and running_var (as bias).
absl::string_view TensorOperand(const Node& node, absl::string_view tensor, bool reference);

// The record's format of an operand, or null where it stays float.
const FormatProto* FindFormat(const Node& node, absl::string_view operand);

// A format for a tensor as the format is to see it.
struct SimulatedTensor {
  FormatProto format;
  Shape shape;
};

// Fills in `skip_first_dim` of block formats where the record leaves it open, as the op does in
// MASE, and folds axes as MASE does under REFERENCE semantics (EXACT takes any rank): a
// convolution's operands become [N C, H, W]; element-wise operands and products of more than two
// axes become three.
SimulatedTensor Simulated(const Node& node, absl::string_view operand, const FormatProto& format,
                          const Shape& shape);

// A kernel that rounds srcs[0] into dst. Its gradient is the format's.
template <typename T>
KernelOr<T> MakeQuantizeKernel(const SimulatedTensor& tensor);

}  // namespace mase

#endif  // MASE_EXEC_SIMULATE_H_
