// Executable: a Program with its memory, ready to run.
#ifndef MASE_EXEC_EXECUTABLE_H_
#define MASE_EXEC_EXECUTABLE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/exec/aligned.h"
#include "mase/exec/executor.h"
#include "mase/exec/lower.h"
#include "mase/exec/program.h"
#include "mase/exec/stages.h"
#include "mase/exec/tensor_store.h"
#include "mase/graph/graph.h"
#include "mase/kernel/kernel.h"

namespace mase {

struct CompileOptions {
  LoweringOptions lowering;
  KernelOptions kernels;
  bool measure_steps = false;
  const std::atomic<bool>* interrupted = nullptr;  // As ExecutorOptions.
};

class Executable {
 public:
  // Runs all stages. Errors name the node. The store must outlive the executable.
  static absl::StatusOr<std::unique_ptr<Executable>> Compile(const Graph& graph,
                                                             const CompileOptions& options,
                                                             const TensorStore& store);

  // There are as many inputs as the program has. `seed` is another one for every step of training.
  absl::Status Prepare(uint64_t seed);
  absl::Status Forward(absl::Span<const InputData> inputs, uint64_t seed);
  absl::Status Backward(absl::Span<const void* const> diff_outputs);

  struct Result {
    const void* data = nullptr;
    Shape shape;
    DType dtype = DType::kFloat32;
  };
  const std::vector<Result>& outputs() const { return outputs_; }
  // Of a program of one row that is one step, from the one input to the one result, with a
  // RowFunction: what that wants beside the row, after Prepare. Else `run` is null.
  struct Row {
    RowFunction run = nullptr;
    const void* prepared = nullptr;
    void* scratch = nullptr;
  };
  const Row& row() const { return row_; }

  // Of the block of memory that it works in.
  int64_t bytes() const { return arena_.size(); }
  // By node id, where the options keep values; null data elsewhere.
  const std::vector<Result>& node_values() const { return node_values_; }
  // How each node is computed, by node id.
  const std::vector<Program::Note>& notes() const { return notes_; }
  // The steps of the net as they run; facts of kernels are those after Prepare.
  std::vector<StepExecution> steps() const;

  // By input.
  const std::vector<DType>& input_types() const { return input_types_; }

 private:
  // A gradient that was written beside its place, and is to be added.
  struct Addition {
    const void* from;
    void* to;
    int64_t elements;
    DType dtype;
  };
  struct Step {
    StepExecution report;                       // But for what its kernel knows.
    const IntegerChainKernel* chain = nullptr;  // `kernel`, where it is one.
    bool measured = false;
    std::vector<double> seconds;  // Of each call, where it is.
    std::unique_ptr<Kernel> kernel;
    std::vector<const void*> srcs;
    std::vector<void*> tensors;
    std::vector<void*> diff_srcs, diff_tensors;
    BackwardArgs args;  // Forward takes the part of it that is KernelArgs.
    void* scratch = nullptr;
    void* backward_scratch = nullptr;
    bool runs_forward = true;  // Not what turns, in training.
    bool runs_backward = false;
    absl::Status prepare_status;
    std::vector<Addition> additions;
  };
  // A pointer to an input, set at each Forward.
  struct InputUse {
    const void** pointer;
    int input;
  };
  // A graph output's gradient: copied, or added where an output is given twice.
  struct Seed {
    void* to;
    int64_t elements;
    DType dtype;
    int output;
    bool adds;
  };
  class Binder;

  Executable() = default;
  static absl::Status RunForward(Step& step, uint64_t seed);
  static absl::Status RunMeasured(Step& step);
  static absl::Status StepError(const Step& step, const absl::Status& status);
  absl::Status TypeError(size_t input, DType got) const;
  static absl::Status RunBackward(Step& step);

  std::vector<Step> prepare_, steps_;
  std::vector<size_t> preparations_;  // Steps that prepare something.
  int64_t prepared_bytes_ = 0;        // Of all of them.
  std::vector<InputUse> input_uses_;
  std::vector<Seed> seeds_;
  std::vector<Result> outputs_, node_values_;
  std::vector<DType> input_types_;
  std::vector<Program::Note> notes_;
  Row row_;
  AlignedBytes arena_;
  const std::atomic<bool>* interrupted_ = nullptr;
};

}  // namespace mase

#endif  // MASE_EXEC_EXECUTABLE_H_
