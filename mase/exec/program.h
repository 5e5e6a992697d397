// Program: what an executor runs, for one number of rows and one mode.
//
//   prepare:  steps that read nothing but stored tensors: rounded parameters
//   steps:    the net, in graph order; Backward takes them the other way round, those of `prepare`
//             last
//
// A step is one kernel on values; a value is a tensor with element type, shape and layout. Stages
// make a program out of a graph, each in a file of its own, each reading only what the ones before
// have written:
//
//   lower     lower*.cc    nodes become steps; operands that a record names are rounded
//   fuse      fuse.cc      neighbouring steps become one
//   layout    layout.cc    steps get kernels; values get the layouts that kernels like
//   backward  backward.cc  whose gradients are computed, and where they add up
//   memory    memory.cc    where everything lies in one block of memory
//
// An executable (executable.h) is a program whose steps have their pointers.
#ifndef MASE_EXEC_PROGRAM_H_
#define MASE_EXEC_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mase/exec/execution_report.h"
#include "mase/exec/tensor_store.h"
#include "mase/graph/attribute.h"
#include "mase/graph/op_schema.h"
#include "mase/kernel/kernel.h"

namespace mase {

class IntegerChainKernel;

// The op of a step that takes the rows of a batch from those of a data set (kernel/pick_rows.cc).
inline constexpr absl::string_view kPickRows = "pick_rows";

struct Program {
  struct Value {
    enum class Home {
      kInput,  // The caller's memory, another one each call.
      kArena,  // The program's own.
      kStore,  // A tensor of the net.
    };
    TensorDesc desc;
    Home home = Home::kArena;
    int input = -1;                 // For kInput: which one.
    TensorStore::Place place = {};  // For kStore.
    bool needs_gradient = false;    // Depends on a trained tensor.
    bool prepared = false;          // Made by a step of `prepare`, there for every call.
    bool stays = false;             // Is read after the call: a result, or kept by an option.
    bool has_gradient = false;      // By the backward stage: somebody writes it.
  };

  // A value under the shape by which one of its readers knows it: flattening a tensor is no step.
  struct Operand {
    int value = -1;
    Shape shape;
  };

  // What a step does with the gradient of one thing that it reads.
  struct Gradient {
    bool wanted = false;
    bool adds = false;  // To what a step further behind has written there.
  };

  struct Step {
    std::string op;         // The node's; or what stands between nodes, such as "quantize".
    Attributes attributes;  // As the kernel gets them.
    std::string label;      // "seq_blocks_2 (linear)", for messages.
    uint64_t stream = 0;    // As KernelSpec::stream.
    std::vector<Operand> srcs;
    std::vector<int> tensors;               // Values.
    std::vector<std::string> tensor_names;  // Their local names.
    std::string kernel_name;                // By the fuse stage: of the fused kernel,
    std::vector<FusedOp> fused;             // and what it computes behind `op`.
    std::string last_label;                 // Of the last step that became part of it.
    std::vector<std::string> fused_labels;  // Of the nodes whose steps did.
    int dst = -1;
    bool simulated = false;  // Stands for a node with a record.
    bool on_codes = false;   // Reads codes (kernel/codes.h), or makes them.
    int64_t macs = 0;        // Of the nodes that it computes.
    int sum_bits = 0;        // As these three of KernelSpec.
    WeightCodes weight;
    std::optional<Codes> codes;
    // The op's entry in the table of ops; null for steps that stand for no node.
    const OpSchema* schema = nullptr;
    bool Is(OpTrait trait) const { return schema != nullptr && schema->Is(trait); }

    std::unique_ptr<Kernel> kernel;  // By the layout stage, but for steps that bring their own.
    // Of an integer chain: that kernel, and the steps that it took the place of, for reports.
    const IntegerChainKernel* chain = nullptr;
    std::vector<StepExecution> parts;

    bool runs_backward = false;  // By the backward stage.
    std::vector<Gradient> src_gradients, tensor_gradients;
  };

  // A graph output's gradient, where Backward starts; it adds where an output is given twice.
  struct Seed {
    int output = -1;
    bool adds = false;
  };

  // How a node is computed, for reports.
  struct Note {
    std::optional<Execution> way;  // None: it computes nothing.
    bool has_record = false;
    bool exact = true;   // Of integers: the results are those of the simulation, to the bit.
    std::string reason;  // Why not in integers, where those were asked for.
  };

  bool training = false;
  bool has_loss = false;  // The last step is a loss, and outputs[0] its figures.
  // Inputs are the graph's; with a loss then the labels and, where rows are picked, which.
  int input_count = 0;
  std::vector<Value> values;
  std::vector<Step> prepare, steps;
  std::vector<Operand> outputs;
  std::vector<Operand> nodes;  // By node id, where values are kept; value -1 elsewhere.
  std::vector<Note> notes;     // By node id.
  std::vector<Seed> seeds;     // By the backward stage.

  // Appends a step with a new value as its result, to `prepare` if it reads nothing but stored
  // tensors and what is prepared. Returns the value.
  int Append(Step step, TensorDesc dst);

  const TensorDesc& desc(int value) const { return values[value].desc; }

  // What reports say of a step, but for what its kernel knows.
  StepExecution Describe(const Step& step) const;
};

}  // namespace mase

#endif  // MASE_EXEC_PROGRAM_H_
