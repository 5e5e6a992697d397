// Recognises nets that are one chain of small dense layers, which mase/kernel/dense trains fused.
#ifndef MASE_TRAIN_DENSE_CHAIN_H_
#define MASE_TRAIN_DENSE_CHAIN_H_

#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/kernel/dense/dense.h"

namespace mase {

struct DenseChain {
  std::vector<DenseLayer> layers;
  struct Dropout {
    double p = 0;
    int64_t features = 0;
  };
  std::vector<Dropout> dropouts;  // Of the kDropout layers, in order.
};

// The chain that computes `graph`, with tensors at their offsets in the executor's flat vectors:
//
//   placeholder, [flattening,] (linear | batch_norm1d | relu | dropout)*, output
//
// Nothing if the graph is anything else: a branch, a tensor used twice, another op, a quantised
// node. `parameters` and `buffers` are the executor's slots.
std::optional<DenseChain> FindDenseChain(const Graph& graph,
                                         absl::Span<const TensorSlot> parameters,
                                         absl::Span<const TensorSlot> buffers);

}  // namespace mase

#endif  // MASE_TRAIN_DENSE_CHAIN_H_
