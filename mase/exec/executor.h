// Executor: runs a graph, forward and backward, in float or with simulated number formats.
//
//   MASE_ASSIGN_OR_RETURN(auto executor, Executor::Create(graph, {.max_rows = 256}));
//   MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, rows, {x}));
//   ... executor->output() ...
//
//   MASE_ASSIGN_OR_RETURN(LossFigures figures, executor->TrainStep({{x}, labels, picked, rows}));
//   for (i) executor->parameters()[i] -= rate * executor->gradients()[i];
//
// A row is one sample: index 0 of the first axis of every graph input. The first call with a new
// number of rows (and mode) compiles the graph into a program: steps in graph order, one kernel
// each, all memory in one block. A later call with the same number allocates nothing. A few
// programs are kept, so a short last batch costs one more, once.
//
// Trained tensors live in one flat vector, and their gradients in another of the same layout, so
// that an optimizer is one loop. Nothing is shared with the graph after Create: StoreTo writes the
// tensors back.
//
// A node with a quantization record runs simulated: the operands that the record names are rounded
// to their formats (mase/format), the arithmetic is float. Gradients pass the rounding by the
// format's own rule, straight through for most; the parameters stay float. Trained state of an
// operand (lsq's learned step) is a trained tensor, too: slot "seq_blocks_2.weight_scale", one
// number, which LoadFrom and StoreTo read from and write into the record. Parameters are rounded at
// each training step, and in inference only after parameters() was called or a training step was
// made.
//
// Threads: loops run on OpenMP's pool. Work is cut by shape, never by the number of threads, and
// partial sums are added in a fixed order, so results do not depend on it. One executor serves one
// caller at a time.
#ifndef MASE_EXEC_EXECUTOR_H_
#define MASE_EXEC_EXECUTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/exec/execution_report.h"
#include "mase/graph/graph.h"
#include "mase/kernel/kernel.h"
#include "mase/kernel/loss.h"
#include "mase/tensor/tensor.h"

namespace mase {

enum class ExecutionMode {
  kInference,  // Running statistics, no dropout, nothing kept for Backward.
  kTraining,   // Batch statistics (which update the running ones), dropout, Backward possible.
};

struct ExecutorOptions {
  // The most rows that one Forward takes.
  int64_t max_rows = 1 << 20;
  Execution execution = Execution::kSimulated;
  // Takes the time of every step, which Report tells. The steps are those of any other run.
  bool measure_steps = false;
  // Every value of the graph can be read after Forward (NodeValue). Costs memory and fusion.
  bool keep_values = false;
  // The same for these nodes alone. Names that the graph has not are NotFound at the first Forward.
  std::vector<std::string> taps;
  // Linear layers, matrix products and convolutions, forward and backward, round their operands to
  // bfloat16 and add in float32; all else, parameters and gradients too, is float32. What PyTorch's
  // autocast does, but for results, which it rounds too. Not for double, which ignores it.
  bool bfloat16 = false;
  // Of dropout's masks and stochastic formats; each training step draws anew.
  uint64_t seed = 0;
  // What TrainStep minimizes.
  Loss loss = kSoftmaxCrossEntropy;
  // Once it is true, a Forward in inference ends with Cancelled, "interrupted", before its next
  // step: a batch of a large net may take a minute. Null: nothing interrupts.
  const std::atomic<bool>* interrupted = nullptr;
};

// The data of one input: dense, row-major, 64-bit aligned at least, owned by the caller.
struct InputData {
  template <typename T>
  InputData(const T* data) : data(data), dtype(DTypeOf<T>::value) {}  // NOLINT: a typed pointer.
  InputData(const void* data, DType dtype) : data(data), dtype(dtype) {}

  const void* data;
  DType dtype;
};

// The rows of a training step. Inputs and labels are those of a whole data set, of which `picked`
// names the rows that are meant, or of the batch alone.
struct TrainingBatch {
  // By placeholder. What the graph calls float32 is float32 here, whatever the executor's T is.
  absl::Span<const InputData> inputs;
  InputData labels;                 // Of the type that the loss has.
  const int64_t* picked = nullptr;  // [rows]; null: the first rows.
  int64_t rows = 0;
};

// What a loss (kernel/loss.h) says of a batch.
struct LossFigures {
  double loss = 0;      // Mean over the rows; NaN if a result is NaN. 0 of no rows.
  int64_t correct = 0;  // Rows that are predicted right, where the loss knows what that is.
};

template <typename T>
class BasicExecutor;

// Where a tensor lies in a flat vector: `shape.elements()` numbers from `offset` on, row-major.
struct TensorSlot {
  std::string name;  // "seq_blocks.2.weight"
  Shape shape;
  int64_t offset = 0;  // In elements; a multiple of 16, so that every tensor starts a cache line.
};

// A net as a function from the row of its one input to the row of its one result; nothing else is
// written. By BasicExecutor::Row; null where there is none.
template <typename T>
class RowCall {
 public:
  RowCall() = default;
  explicit operator bool() const { return run_ != nullptr; }
  // False where a format that has no code for a NaN meets one; `dst` is then unspecified, and
  // Forward of the row tells the error.
  bool operator()(const T* src, T* dst) const { return run_(prepared_, src, dst, scratch_); }

 private:
  friend class BasicExecutor<T>;
  RowCall(RowFunction run, const void* prepared, void* scratch)
      : run_(run), prepared_(prepared), scratch_(scratch) {}

  RowFunction run_ = nullptr;
  const void* prepared_ = nullptr;
  void* scratch_ = nullptr;
};

// T is float, or double for checking: the element type of parameters, arithmetic and results, and
// of inputs that the graph calls float32. Other inputs have their own type; ids are int64, or, as
// data sets have them, numbers of the type of the other inputs, whole and up to 2^24 in size.
template <typename T>
class BasicExecutor {
 public:
  // Plans nothing yet, but checks all that does not depend on the number of rows: the graph's
  // order, tensors present with the shapes their modules want, formats. Errors name the node:
  // InvalidArgument; Unimplemented for an op without a kernel.
  static absl::StatusOr<std::unique_ptr<BasicExecutor>> Create(const Graph& graph,
                                                               const ExecutorOptions& options = {});
  ~BasicExecutor();
  BasicExecutor(const BasicExecutor&) = delete;
  BasicExecutor& operator=(const BasicExecutor&) = delete;

  // Runs the graph on `rows` rows. inputs[i] is the i-th placeholder's data, and must stay valid
  // until Backward after kTraining. Zero rows are fine.
  //
  // InvalidArgument: more rows than max_rows, another number of inputs or one of another element
  // type, shapes that do not fit this number of rows, batch statistics of less than two values a
  // channel. Unimplemented: an op without a kernel. OutOfRange: a format that refuses NaN met one,
  // an id that the table has not or that is no whole number. Cancelled: the options' `interrupted`.
  absl::Status Forward(ExecutionMode mode, int64_t rows, absl::Span<const InputData> inputs);

  // The net as a function of one row, for callers to whom nanoseconds matter: what Forward computes
  // in inference, without anything between the caller and the one kernel. There is none, null,
  // where the program for a row is more than one step, as all are but chains of small layers.
  // Compiles if need be; errors of Forward. The function is good until the executor ends or its
  // tensors change: parameters(), buffers(), LoadFrom, a step of training.
  absl::StatusOr<RowCall<T>> Row();

  // Bytes of the one block of memory that a Forward of `rows` rows in inference works in: values
  // between steps, scratch, and rounded parameters; what is not needed at the same time shares. The
  // inputs are the caller's and not part of it. There is no output() afterwards. Errors of Forward.
  absl::StatusOr<int64_t> PlannedBytes(int64_t rows);

  // The shapes of the inputs, by placeholder. InvalidArgument if the net cannot have so many rows.
  absl::StatusOr<std::vector<Shape>> InputShapes(int64_t rows) const;

  // Results of the last Forward, valid until the next; empty before the first and after a failure.
  int output_count() const;
  absl::Span<const T> output(int i = 0) const;
  const Shape& output_shape(int i = 0) const;

  // The value of the node's first result in the last Forward. FailedPrecondition without
  // keep_values or a tap there, or before Forward; NotFound with the nearest name.
  absl::StatusOr<absl::Span<const T>> NodeValue(absl::string_view node) const;
  absl::StatusOr<Shape> NodeShape(absl::string_view node) const;

  // How the last Forward was computed. FailedPrecondition before the first.
  absl::StatusOr<ExecutionReport> Report() const;

  // Gradients of all trained tensors, given those of the outputs (diff_outputs[i] has the shape of
  // output(i)), after a Forward in training mode: overwrites gradients(). FailedPrecondition
  // without such a Forward; Unimplemented, naming the node, for an op without a gradient.
  //
  // A bias that only feeds a batch norm has a gradient of exactly zero, which is its true value;
  // summing would leave rounding noise for Adam to blow up.
  absl::Status Backward(absl::Span<const T* const> diff_outputs);

  // Forward in training mode, the loss of the graph's one result against the labels, and Backward
  // from there: overwrites gradients(). A net that is one chain of dense layers does it all without
  // leaving the cache. There is no output() afterwards. Errors are those of Forward;
  // InvalidArgument if the results or labels are not the loss's.
  absl::StatusOr<LossFigures> TrainStep(const TrainingBatch& batch);

  // The trained tensors, in graph order, and the two vectors that hold them; 64-byte aligned, as
  // long as the last slot's end rounded up to 16. Gaps between tensors hold zeros in both and
  // must keep zeros. Call parameters() again before each write: that call is what makes the next
  // Forward in inference mode see new numbers.
  absl::Span<const TensorSlot> parameter_slots() const;
  absl::Span<T> parameters();
  absl::Span<const T> gradients() const;  // Empty before the first Backward.
  // A norm of gradients, clipping or accumulation may write here.
  absl::Span<T> mutable_gradients();

  // Running means and variances; the counters num_batches_tracked are numbers of T here too.
  absl::Span<const TensorSlot> buffer_slots() const;
  absl::Span<T> buffers();

  // Writes parameters and buffers into the graph's tensors of the same name, or reads them.
  // NotFound or InvalidArgument, naming the tensor, if it is missing or has another shape.
  absl::Status StoreTo(Graph& graph) const;
  absl::Status LoadFrom(const Graph& graph);

  // Draws of dropout are a function of (seed, step); a resumed run sets the step it resumes at.
  void set_step(uint64_t step);
  uint64_t step() const;

 private:
  class Impl;
  explicit BasicExecutor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

using Executor = BasicExecutor<float>;
using Executor64 = BasicExecutor<double>;

extern template class BasicExecutor<float>;
extern template class BasicExecutor<double>;

}  // namespace mase

#endif  // MASE_EXEC_EXECUTOR_H_
