// Simulated operands: kernels that round the tensors of quantized nodes.
#ifndef MASE_EXEC_SIMULATE_H_
#define MASE_EXEC_SIMULATE_H_

#include <cstdint>
#include <memory>

#include "mase/kernel/kernel.h"
#include "mase/quantize/operands.h"

namespace mase {

// A kernel that rounds srcs[0], which the format sees as `view` says, into dst; both are `dtype`,
// float32 or float64, and the rounding is float32. Its gradient is the format's. `stream` is that
// of stochastic rounding's draws (KernelSpec). Where the format has trained state
// (operand_state.h), tensors[0] is that, and it gets a gradient too; an lsq step that is not above
// zero is InvalidArgument.
std::unique_ptr<Kernel> MakeQuantizeKernel(const OperandView& view, DType dtype, uint64_t stream);

}  // namespace mase

#endif  // MASE_EXEC_SIMULATE_H_
