// The door for kernels of ops that plugins bring.
#ifndef MASE_KERNEL_PLUGIN_OP_H_
#define MASE_KERNEL_PLUGIN_OP_H_

#include "absl/status/status.h"
#include "mase/graph/op_function.h"

namespace mase {

// Whether the op has its arithmetic: InvalidArgument naming it without a forward function of both
// element types, or with a backward one of one of them alone.
absl::Status CheckPluginKernels(const OpDefinition& op);

// Puts its kernels, for float32 and float64, into the table. Errors of CheckPluginKernels.
absl::Status RegisterPluginKernels(const OpDefinition& op);

}  // namespace mase

#endif  // MASE_KERNEL_PLUGIN_OP_H_
