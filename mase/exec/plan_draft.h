// The first half of planning: what runs, in which order, on which values.
#ifndef MASE_EXEC_PLAN_DRAFT_H_
#define MASE_EXEC_PLAN_DRAFT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/exec/executor.h"
#include "mase/exec/tensor_store.h"
#include "mase/graph/graph.h"
#include "mase/kernel/kernel.h"

namespace mase {

template <typename T>
struct PlanDraft {
  // A tensor: an input, a result, or a parameter. Results of ops that only rename have none of
  // their own.
  struct Value {
    enum class Home { kInput, kArena, kStore };
    TensorDesc desc;
    Home home = Home::kArena;
    int input = -1;                             // For kInput.
    typename TensorStore<T>::Place place = {};  // For kStore.
    bool needs_gradient = false;
    bool persistent = false;  // Made in `prepare`.
    bool is_output = false;   // Stays until the next call.
    int producer = -1;        // Step, in `steps` or, if persistent, in `prepare`.
  };

  struct Step {
    std::string op;    // The kernel's; "quantize" and "reorder" for those between nodes.
    std::string name;  // "seq_blocks_2 (linear)", for messages.
    uint64_t stream = 0;
    std::unique_ptr<Kernel<T>> kernel;
    std::vector<int> srcs, tensors;  // Values.
    int dst = -1;
  };

  // A value under the shape that one of its names has.
  struct Named {
    int value = -1;
    Shape shape;
  };

  std::vector<Value> values;
  std::vector<Step> prepare, steps;
  std::vector<Named> outputs;
  std::vector<Named> nodes;  // By node id, with the option keep_values; value -1 elsewhere.
};

// Makes all kernels; rounds the operands of quantised nodes, converts layouts and fuses in between.
// Errors name the node.
template <typename T>
absl::StatusOr<PlanDraft<T>> DraftPlan(const Graph& graph, ExecutionMode mode, int64_t rows,
                                       const ExecutorOptions& options, const TensorStore<T>& store);

}  // namespace mase

#endif  // MASE_EXEC_PLAN_DRAFT_H_
