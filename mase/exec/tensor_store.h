// The tensors of a graph as an executor holds them: two flat vectors, one of trained tensors, one
// of buffers, each tensor on a cache line of its own, all of one element type (float32 or float64).
//
// The trained state of operands (operand_state.h) is among the trained tensors, behind the others.
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
#include "mase/exec/operand_state.h"
#include "mase/graph/graph.h"
#include "mase/tensor/shape.h"

namespace mase {

class TensorStore {
 public:
  // Lays out all of the graph's tensors; `dtype` is kFloat32 or kFloat64.
  TensorStore(const Graph& graph, DType dtype);

  // Errors as BasicExecutor::StoreTo and LoadFrom.
  absl::Status StoreTo(Graph& graph) const;
  absl::Status LoadFrom(const Graph& graph);

  struct Place {
    void* data = nullptr;
    void* gradient = nullptr;  // Null for buffers, and before AllocateGradients.
    bool buffer = false;
    Shape shape;
  };
  // The tensor must exist: the graph has been verified.
  Place Find(absl::string_view name) const;
  void AllocateGradients();

  DType dtype() const { return dtype_; }
  const std::vector<TensorSlot>& parameter_slots() const { return parameter_slots_; }
  const std::vector<TensorSlot>& buffer_slots() const { return buffer_slots_; }
  const AlignedBytes& parameters() const { return parameters_; }
  const AlignedBytes& gradients() const { return gradients_; }
  const AlignedBytes& buffers() const { return buffers_; }

 private:
  struct Where {
    bool buffer;
    size_t slot;
  };

  void AddSlot(std::string name, const Shape& shape, bool buffer);
  int64_t Bytes(int64_t elements) const {
    return elements * static_cast<int64_t>(ElementSize(dtype_));
  }
  absl::Status CheckSlots(const Graph& graph) const;
  // The same with numbers of the store's type.
  template <typename T>
  absl::Status StoreNumbers(Graph& graph) const;
  template <typename T>
  absl::Status LoadNumbers(const Graph& graph);

  const DType dtype_;
  std::vector<TensorSlot> parameter_slots_, buffer_slots_;
  absl::flat_hash_map<std::string, Where> by_name_;
  absl::flat_hash_map<std::string, OperandState> states_;  // By slot.
  AlignedBytes parameters_, gradients_, buffers_;
};

}  // namespace mase

#endif  // MASE_EXEC_TENSOR_STORE_H_
