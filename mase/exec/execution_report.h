// What ran, and how: the proof of an execution, for people and programs. An executor tells it after
// a Forward (BasicExecutor::Report).
#ifndef MASE_EXEC_EXECUTION_REPORT_H_
#define MASE_EXEC_EXECUTION_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mase/tensor/shape.h"

namespace mase {

// How nodes with a quantization record are computed. What they say of a net is one thing: operands
// are rounded to their formats.
enum class Execution {
  kFloat,      // As if they had none: the float network.
  kSimulated,  // Operands are rounded, arithmetic is float (docs/formats.md).
  // In inference, on codes, where formats are integers and there is a kernel (docs/integer.md); the
  // others simulated. Where steps are powers of two the results are those of kSimulated, to the
  // bit.
  kInteger,
};
// "float", "simulated", "integer"
const char* ExecutionName(Execution execution);

// A node that computes something, and how it did.
struct NodeExecution {
  std::string node, op;
  Execution way = Execution::kFloat;
  bool has_record = false;
  // Of integers: whether the result is the simulation's to the bit, as it is where all steps are
  // powers of two.
  bool exact = true;
  std::string reason;  // Why not in integers, where those were asked for.
};

// A kernel that ran: of one node, or of several that were fused.
struct StepExecution {
  std::string label;  // "fc1 (linear)": its first node; of a chain "fc1 (linear) to fc2 (linear)".
  // All that it computes, "fc1 (linear)", "bn1 (batch_norm1d)"; none of a step between nodes.
  std::vector<std::string> nodes;
  std::string kernel;               // "integer_linear + batch_norm1d + relu + encode"
  std::string implementation, isa;  // As KernelFacts.
  std::vector<DType> operands;      // Data inputs, then the weight as it is multiplied.
  std::optional<DType> bias;        // As it is added; of products on codes known once they ran.
  DType result = DType::kFloat32;
  // Multiplications and additions of a call, as ops are counted: those with padding, too, and all
  // that Winograd's way to compute a convolution does without.
  int64_t macs = 0;
  int sum_bits = 0;  // Smallest accumulator that holds every sum, of products of codes; else 0.
  int64_t calls = 0;
  double seconds = 0;  // Median of a call; 0 where ExecutorOptions::measure_steps is not set.
  // Of a chain of small layers on codes, which is one kernel: what it computes layer by layer, with
  // the types, MACs and sums of each. They have no calls and no time of their own.
  std::vector<StepExecution> parts;
};

struct ExecutionReport {
  std::vector<NodeExecution> nodes;  // In graph order.
  std::vector<StepExecution> steps;  // In the order in which they run.

  // Nodes with a record that did not run on codes.
  std::vector<const NodeExecution*> NotInIntegers() const;
};

}  // namespace mase

#endif  // MASE_EXEC_EXECUTION_REPORT_H_
