// Which neighbouring nodes one kernel computes.
#ifndef MASE_EXEC_FUSION_H_
#define MASE_EXEC_FUSION_H_

#include "absl/strings/string_view.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"

namespace mase {

// The kernel for a chain that starts at a node, where each node is all that reads the one before.
struct Fusion {
  absl::string_view op;        // The first node's own if it stands alone.
  Attributes attributes;       // The kernel's.
  const Node* norm = nullptr;  // Its tensors join those of the first node, as "norm.<name>".
  const Node* last;            // Whose result the kernel computes.
};

//   batch_norm*d, relu           "batch_norm_relu"
//   linear, relu                 "linear_relu", in inference
//   conv*d, batch_norm*d[, relu] "conv_batch_norm", in inference, if `folds_norms`: with the
//   running
//                                statistics scaled into the weights, results differ by rounding
//
// Nodes that run simulated stay alone, as their operands are rounded one by one; only a linear node
// takes a float relu along unless its result is rounded, too.
Fusion FindFusion(const Node& node, ExecutionMode mode, const ExecutorOptions& options,
                  bool folds_norms);

}  // namespace mase

#endif  // MASE_EXEC_FUSION_H_
