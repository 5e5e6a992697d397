// The tensors of a graph as an executor holds them: two flat vectors, one of trained tensors, one
// of buffers, each tensor on a cache line of its own.
//
// The learned steps of a quantised graph (format/lsq.h) are trained tensors of one number here,
// behind the others, and fields of the records in the graph: whoever reads the record afterwards
// sees what training made of them.
#ifndef MASE_EXEC_TENSOR_STORE_H_
#define MASE_EXEC_TENSOR_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/exec/aligned.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"

namespace mase {

// What the learned step of a node's operand is called: "seq_blocks_2.weight_scale".
std::string LearnedStepSlot(const Node& node, absl::string_view operand);

template <typename T>
class TensorStore {
 public:
  // Lays out all of the graph's tensors.
  explicit TensorStore(const Graph& graph);

  // Errors as BasicExecutor::StoreTo and LoadFrom.
  absl::Status StoreTo(Graph& graph) const;
  absl::Status LoadFrom(const Graph& graph);

  struct Place {
    T* data;
    T* gradient;  // Null for buffers, and before AllocateGradients.
    bool buffer;
    Shape shape;
  };
  // The tensor must exist: the graph has been verified.
  Place Find(absl::string_view name) const;
  void AllocateGradients();

  const std::vector<TensorSlot>& parameter_slots() const { return parameter_slots_; }
  const std::vector<TensorSlot>& buffer_slots() const { return buffer_slots_; }
  absl::Span<T> parameters() const { return parameters_.span(); }
  absl::Span<T> gradients() const { return gradients_.span(); }
  absl::Span<T> buffers() const { return buffers_.span(); }

 private:
  struct Where {
    bool buffer;
    size_t slot;
  };
  // The operand of a node whose learned step a slot is.
  struct Step {
    std::string node, operand;
  };

  void AddSlot(std::string name, const Shape& shape, bool buffer);
  absl::Status CheckSlots(const Graph& graph) const;

  std::vector<TensorSlot> parameter_slots_, buffer_slots_;
  absl::flat_hash_map<std::string, Where> by_name_;
  absl::flat_hash_map<std::string, Step> steps_;  // By slot.
  AlignedArray<T> parameters_, gradients_, buffers_;
};

}  // namespace mase

#endif  // MASE_EXEC_TENSOR_STORE_H_
