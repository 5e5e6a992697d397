#ifndef MASE_KERNEL_EXACT_SUMS_H_
#define MASE_KERNEL_EXACT_SUMS_H_

#include "mase/kernel/kernel.h"

namespace mase {

inline constexpr int kFloatBits = 24;  // Whole numbers of so many bits are exact in float32.

// Whether sums of the products that the spec describes need more than float32 to be exact.
inline bool NeedsExactSums(const KernelSpec& spec) { return spec.sum_bits > kFloatBits; }

KernelOr MakeExactLinear(const KernelSpec& spec);
KernelOr MakeExactMatmul(const KernelSpec& spec);
KernelOr MakeExactConv(const KernelSpec& spec);

}  // namespace mase

#endif  // MASE_KERNEL_EXACT_SUMS_H_
