// Simulated operands: kernels that round the tensors of quantised nodes.
#ifndef MASE_EXEC_SIMULATE_H_
#define MASE_EXEC_SIMULATE_H_

#include "mase/kernel/kernel.h"
#include "mase/quantize/operands.h"

namespace mase {

// A kernel that rounds srcs[0], which the format sees as `view` says, into dst. Its gradient is the
// format's. Where the format has a learned step (format/lsq.h), tensors[0] is that, and it gets a
// gradient too; one that is not above zero is InvalidArgument.
template <typename T>
KernelOr<T> MakeQuantizeKernel(const OperandView& view);

}  // namespace mase

#endif  // MASE_EXEC_SIMULATE_H_
