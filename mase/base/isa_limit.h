// MASE_MAX_CPU_ISA in the environment: the best instruction set that MASE's own kernels may use,
// of those that the machine has. For comparisons; what is computed on codes has the same bits with
// each. oneDNN has a variable of its own, ONEDNN_MAX_CPU_ISA.
#ifndef MASE_BASE_ISA_LIMIT_H_
#define MASE_BASE_ISA_LIMIT_H_

#include "absl/status/status.h"

namespace mase {

// In this order; each allows those before it.
enum class IsaLimit { kSse2, kAvx2, kAvx512, kAvx512Vnni, kAll };

// What the environment said at the first call; kAll where it says nothing, or what is no limit.
IsaLimit MaxIsa();

// InvalidArgument, with the values that there are, where it says what is no limit. For programs at
// their begin, and predictors, so that nobody measures what he did not ask for.
absl::Status CheckIsaLimit();

}  // namespace mase

#endif  // MASE_BASE_ISA_LIMIT_H_
