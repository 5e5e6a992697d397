// Lowering: the nodes of a graph become steps of a Program. Each way to compute a node is a
// function in a file of its own, which says with a Lowerer what the node reads, computes and
// results in; lower.cc chooses among them, node by node:
//
//   lower_float.cc       as the node's op says
//   lower_simulated.cc   a record with EXACT semantics: operands are rounded, arithmetic is float
//   lower_reference.cc   a record with REFERENCE semantics: the same in MASE's own way
//   lower_integer.cc     a record of integer formats: on codes (kernel/codes.h), to the bit what
//                        the simulated node computes where steps are powers of two
//
// Numbers and codes meet in "encode" and "decode" steps, which the fuse stage makes part of the
// steps that they follow.
#ifndef MASE_EXEC_LOWER_H_
#define MASE_EXEC_LOWER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/exec/executor.h"
#include "mase/exec/integer_plan.h"
#include "mase/exec/program.h"
#include "mase/exec/tensor_store.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/kernel/loss.h"
#include "mase/quantize/operands.h"

namespace mase {

struct LoweringOptions {
  bool training = false;
  int64_t rows = 0;
  Execution execution = Execution::kSimulated;
  bool keep_values = false;            // Program::nodes is filled, of all nodes,
  absl::Span<const std::string> taps;  // or of these.
  // The program ends in this loss of the graph's one result. Inputs that the graph calls float32
  // are then float32 whatever the arithmetic is: the rows of data sets.
  const Loss* loss = nullptr;
  bool picks_rows = false;  // With a loss: the last input says which rows of the others are meant.
  bool ids_are_numbers =
      false;  // Inputs that the graph calls int64 come as those it calls float32.
};

// The element type of the arithmetic, and of all that the graph calls float32, is the store's.
// Errors name the node.
absl::StatusOr<Program> Lower(const Graph& graph, const LoweringOptions& options,
                              const TensorStore& store);

// The program as far as it goes, and what of the graph it has already.
class Lowerer {
 public:
  Lowerer(const Graph& graph, const LoweringOptions& options, const TensorStore& store,
          InferredShapes shapes);

  const InferredShapes& shapes() const { return shapes_; }
  bool training() const { return program_.training; }
  DType dtype() const { return store_.dtype(); }  // Of the arithmetic.
  const TensorStore& store() const { return store_; }

  // A step for the node, without operands yet.
  Program::Step StartStep(const Node& node) const;

  // What data input `input` reads, as numbers; Unimplemented if that is no tensor (a size).
  absl::StatusOr<Program::Operand> Source(const Node& node, int input);
  // The same, numbers or codes as its maker left it.
  absl::StatusOr<Program::Operand> SourceAsIs(const Node& node, int input) const;

  // The value rounded to codes, in a step of the node's.
  int AsCodes(const Node& node, int value, const Codes& codes);
  // What a value's elements are codes of; nothing if they are numbers.
  const std::optional<Codes>& CodesOf(int value) const { return program_.desc(value).codes; }

  // The value of a tensor of the store, by its name there.
  int StoredTensor(const std::string& name);
  bool IsBuffer(int value) const { return program_.values[value].place.buffer; }
  const Shape& ShapeOf(int value) const { return program_.desc(value).shape; }

  // Appends a step whose result is a float tensor of this shape; returns the result.
  int Append(Program::Step step, const Shape& dst);
  // The same for what may be no float tensor: ids that are moved.
  int Append(Program::Step step, const ValueInfo& dst);
  // The same for codes.
  int AppendCodes(Program::Step step, const Shape& dst, const Codes& codes);

  // What the node's readers get.
  void SetResult(const Node& node, int value) { results_[node.id()] = value; }

 private:
  friend absl::StatusOr<Program> Lower(const Graph& graph, const LoweringOptions& options,
                                       const TensorStore& store);

  absl::Status AddNode(const Node& node);
  // An input of the program, the rows of a batch in the type of the arithmetic.
  // Data of the type `given`, made what `desc` says.
  int AddInput(TensorDesc desc, DType given, absl::string_view label);
  absl::Status AddLoss();
  absl::Status AddOutputs(const Node& node);
  void KeepValue(const Node& node);
  // The value as numbers.
  int AsNumbers(const std::string& label, int value);
  // Graphs say float32; the arithmetic may be float64.
  DType TypeOf(DType dtype) const { return dtype == DType::kFloat32 ? store_.dtype() : dtype; }

  const Graph& graph_;
  const LoweringOptions& options_;
  const TensorStore& store_;
  const InferredShapes shapes_;
  Program program_;
  std::vector<int> results_;  // By node id; -1: none.
  int index_ = -1;            // The value that says which rows are meant.
  absl::flat_hash_map<std::string, int> stored_;
  std::optional<IntegerPlans> plans_;  // For integer execution.
  // Encoded and decoded values, made once: of which, to what, and the result.
  struct Converted {
    int from;
    std::optional<Codes> codes;
    int to;
  };
  std::vector<Converted> converted_;
};

absl::Status LowerFloat(const Node& node, Lowerer& lowerer);
absl::Status LowerSimulated(const Node& node, Lowerer& lowerer);
absl::Status LowerReference(const Node& node, Lowerer& lowerer);
absl::Status LowerInteger(const Node& node, const IntegerPlan& plan, Lowerer& lowerer);
// A node without a record that moves or chooses elements, on the codes that its inputs are or that
// its readers want; false, and nothing done, where neither is.
absl::StatusOr<bool> LowerOnCodes(const Node& node, const std::optional<Codes>& wanted,
                                  Lowerer& lowerer);

// Rounds the operands of one node by "quantize" steps.
class OperandRounder {
 public:
  OperandRounder(const Node& node, Lowerer& lowerer)
      : node_(node), lowerer_(lowerer), operands_(OperandsOf(node)) {}

  // The value as the node's input, tensor or result of that index: rounded, where the record has a
  // format for it.
  absl::StatusOr<int> Round(Operand::Source source, int index, int value, const Shape& shape);

 private:
  const Node& node_;
  Lowerer& lowerer_;
  const std::vector<Operand> operands_;
  int rounded_ = 0;
};

// What a node with a record computes instead of what its op says.
struct SimulatedRules {
  Attributes attributes;
  std::vector<std::string> left_out;  // Tensors of the module that it does without.
  bool reference = false;             // Sums are MASE's, in float.
};
absl::Status LowerByRules(const Node& node, SimulatedRules rules, Lowerer& lowerer);

}  // namespace mase

#endif  // MASE_EXEC_LOWER_H_
