// Which nodes of a graph run on codes, and on which: the decisions of integer lowering, before a
// step is made. lower_integer.cc makes steps of them; reports name what they say no to.
#ifndef MASE_EXEC_INTEGER_PLAN_H_
#define MASE_EXEC_INTEGER_PLAN_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/exec/tensor_store.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/kernel/codes.h"

namespace mase {

// How one node with a record computes on codes.
struct IntegerPlan {
  absl::string_view kernel;     // In the table of kernels.
  std::vector<Codes> inputs;    // By data input.
  WeightCodes weight;           // Of a layer.
  std::optional<Codes> result;  // Where the record rounds the result.
  // Every step is a power of two, so that results are the simulation's to the bit.
  bool exact = true;
};

class IntegerPlans {
 public:
  // `shapes` are those of the program; `store` has the weights, which decide where the widths alone
  // do not prove that sums fit an int32.
  IntegerPlans(const Graph& graph, const InferredShapes& shapes, const TensorStore& store);

  // The node's plan. Unimplemented or FailedPrecondition with the reason, and where there is one
  // the remedy, for a node that cannot run on codes; NotFound for one without a record.
  const absl::StatusOr<IntegerPlan>& of(const Node& node) const { return plans_[node.id()]; }

  // The codes that all readers of the node's first result want, directly or through nodes that move
  // or choose elements, if they agree.
  const std::optional<Codes>& wanted(const Node& node) const { return wanted_[node.id()]; }

 private:
  std::vector<absl::StatusOr<IntegerPlan>> plans_;  // By node id.
  std::vector<std::optional<Codes>> wanted_;
};

// Whether the op moves or chooses elements, or cuts at zero: its result is the same whether it
// comes before or after a rounding to codes.
bool KeepsCodes(const Node& node);

// Bits of the largest sum of products of the node, in units of both factors' steps and the bias's,
// as KernelSpec::sum_bits: 0 where some operand is not rounded to whole numbers of a power of two.
int SumBits(const Node& node, const InferredShapes& shapes, const TensorStore& store);

}  // namespace mase

#endif  // MASE_EXEC_INTEGER_PLAN_H_
