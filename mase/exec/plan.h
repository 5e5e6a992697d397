// Plan: a graph made ready to run for one number of rows and one mode.
//
//   prepare:  round the parameters of quantised nodes, derive what kernels keep of them
//   forward:  steps in graph order
//   backward: the same steps the other way round, those of `prepare` last
//
// All buffers lie in one arena; buffers that are not needed at the same time share memory.
#ifndef MASE_EXEC_PLAN_H_
#define MASE_EXEC_PLAN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mase/exec/aligned.h"
#include "mase/exec/executor.h"
#include "mase/exec/tensor_store.h"
#include "mase/graph/graph.h"
#include "mase/kernel/kernel.h"

namespace mase {

template <typename T>
class Plan {
 public:
  // Errors name the node. The graph and the store must outlive the plan.
  static absl::StatusOr<std::unique_ptr<Plan>> Build(const Graph& graph, ExecutionMode mode,
                                                     int64_t rows, const ExecutorOptions& options,
                                                     const TensorStore<T>& store);

  // `seed` is another one for every step of training.
  absl::Status Prepare(uint64_t seed);
  absl::Status Forward(absl::Span<const T* const> inputs, uint64_t seed);
  absl::Status Backward(absl::Span<const T* const> diff_outputs);

  struct Result {
    const T* data = nullptr;
    Shape shape;
  };
  const std::vector<Result>& outputs() const { return outputs_; }
  // By node id, where the options keep values; null data elsewhere.
  const std::vector<Result>& node_values() const { return node_values_; }
  int64_t arena_elements() const { return arena_.size(); }

 private:
  template <typename>
  friend class PlanBuilder;

  struct Step {
    std::string name;     // "seq_blocks_2 (linear)", for messages.
    uint64_t stream = 0;  // Of random numbers: the node's, however it is computed.
    std::unique_ptr<Kernel<T>> kernel;
    std::vector<const T*> srcs;
    std::vector<T*> tensors;
    std::vector<T*> diff_srcs, diff_tensors;
    KernelArgs<T> forward;
    BackwardArgs<T> backward;
    bool runs_backward = false;
    absl::Status prepare_status;
    // Gradients that were written beside their place, because another reader of the value has
    // written there before, and are to be added.
    struct Addition {
      const T* from;
      T* to;
      int64_t elements;
    };
    std::vector<Addition> additions;
  };
  // A pointer to an input, set at each Forward.
  struct InputUse {
    const T** pointer;
    int input;
  };
  // A graph output's gradient: copied, or added where an output is given twice.
  struct Seed {
    T* to;
    int64_t elements;
    int output;
    bool add;
  };

  Plan() = default;
  static absl::Status RunForward(Step& step, uint64_t seed);
  static absl::Status RunBackward(Step& step);

  std::vector<Step> prepare_, steps_;
  std::vector<size_t> preparations_;  // Steps that prepare something.
  int64_t prepared_elements_ = 0;     // Of them all.
  std::vector<InputUse> input_uses_;
  std::vector<Seed> seeds_;
  std::vector<Result> outputs_, node_values_;
  AlignedArray<T> arena_;
};

extern template class Plan<float>;
extern template class Plan<double>;

}  // namespace mase

#endif  // MASE_EXEC_PLAN_H_
