// Chains of dense layers on [rows, features] as one kernel: "dense_chain".
//
// A net of a few thousand weights spends its time between the multiplications: in calls, in memory,
// in activations that leave the cache. In inference blocks of rows pass through all layers while
// they are in the cache, and each layer computes what its own kernel does, to the bit. In training
// kernel/dense does the work; "dense_chain_loss" there ends in the soft-max cross-entropy and takes
// the step forward and back in one go.
#ifndef MASE_KERNEL_DENSE_CHAIN_H_
#define MASE_KERNEL_DENSE_CHAIN_H_

#include "mase/graph/attribute.h"
#include "mase/kernel/kernel.h"

namespace mase {

inline constexpr absl::string_view kDenseChain = "dense_chain";
inline constexpr absl::string_view kDenseChainLoss = "dense_chain_loss";

// Whether the kernels take an op with these attributes as one of the chain's, in float32:
//
//   linear        in inference only where it is small
//   batch_norm1d  with running statistics
//   relu
//   dropout       in training; in inference it is no step at all
//
// In inference they may have residual sums and branches (chain_parts.h), too.
bool IsDenseLayer(absl::string_view op, const Attributes& attributes, bool training);

}  // namespace mase

#endif  // MASE_KERNEL_DENSE_CHAIN_H_
